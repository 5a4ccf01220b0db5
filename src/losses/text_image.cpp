#include "gigacat/losses/text_image.h"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "gigacat/core/error.h"

namespace gigacat::losses {

at::Tensor logistic_discriminator(const at::Tensor& real, const at::Tensor& fake) {
  return at::softplus(-real).mean() + at::softplus(fake).mean();
}

at::Tensor logistic_generator(const at::Tensor& fake) { return at::softplus(-fake).mean(); }

at::Tensor logistic_mismatch(const at::Tensor& logits, const at::Tensor& weights) {
  const at::Tensor per_sample = at::softplus(logits).flatten(1).mean(1);  // [B]
  return (per_sample * weights).mean();
}

bool is_derangement(const std::vector<std::string>& captions, const std::vector<int64_t>& order) {
  std::vector<bool> used(captions.size(), false);
  if (order.size() != captions.size()) return false;
  for (size_t i = 0; i < order.size(); ++i) {
    if (order[i] < 0 || order[i] >= std::ssize(captions) || used[static_cast<size_t>(order[i])]) return false;
    used[static_cast<size_t>(order[i])] = true;
    if (captions[i] == captions[static_cast<size_t>(order[i])]) return false;
  }
  return true;
}

// Samples are sorted by caption, captions in random order, and each takes the caption as many places on as the most
// frequent one stands: beyond its own run.
std::vector<int64_t> derange(const std::vector<std::string>& captions, const std::vector<float>& keys) {
  GIGACAT_CHECK(captions.size() == keys.size(), captions.size(), " captions, ", keys.size(), " keys");
  std::map<std::string, std::pair<float, size_t>> groups;  // key and number of samples
  for (size_t i = 0; i < captions.size(); ++i) {
    const auto [found, added] = groups.try_emplace(captions[i], keys[i], 0);
    ++found->second.second;
  }
  size_t most = 0;
  for (const auto& [caption, group] : groups) most = std::max(most, group.second);
  std::vector<size_t> sorted(captions.size());
  std::iota(sorted.begin(), sorted.end(), size_t{0});
  std::sort(sorted.begin(), sorted.end(), [&](size_t a, size_t b) {
    const auto rank = [&](size_t i) {
      return std::tuple<float, const std::string&, float, size_t>(groups.at(captions[i]).first, captions[i], keys[i],
                                                                  i);
    };
    return rank(a) < rank(b);
  });
  std::vector<int64_t> order(captions.size());
  for (size_t i = 0; i < sorted.size(); ++i)
    order[sorted[i]] = static_cast<int64_t>(sorted[(i + most) % sorted.size()]);
  return order;
}

at::Tensor clip_contrastive(const at::Tensor& image, const at::Tensor& text, int64_t first, double scale) {
  const auto unit = [](const at::Tensor& x) { return x / x.norm(2, -1, /*keepdim=*/true); };
  const at::Tensor logits = scale * at::matmul(unit(image), unit(text).t());  // [B, M]
  const at::Tensor own = at::arange(first, first + image.size(0), image.options().dtype(at::kLong));
  return -at::log_softmax(logits, 1).gather(1, own.unsqueeze(1)).mean();
}

at::Tensor gradient_penalty(const at::Tensor& score, const at::Tensor& x) {
  const at::Tensor grad = torch::autograd::grad({score.sum()}, {x}, {}, /*retain_graph=*/true,
                                                /*create_graph=*/true)[0];
  return grad.square().flatten(1).sum(1);
}

}  // namespace gigacat::losses
