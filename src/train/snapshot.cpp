#include "train/snapshot.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gigacat/io/sample_grid.h"

namespace gigacat::train {
namespace {

constexpr int64_t kChunk = 16;  // samples drawn at once
constexpr int64_t kDiversity = 16, kOfAClass = 4;

// Latents [B, C, H, W] without a decoder as colours [B, 1 or 3, H, W]: of their first channels, three deviations white.
at::Tensor as_colours(const at::Tensor& images) {
  if (images.size(1) == 1 || images.size(1) == 3) return images;
  return images.narrow(1, 0, images.size(1) >= 3 ? 3 : 1) / 3;
}

}  // namespace

io::Image picture(const at::Tensor& images) {
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(images.size(0)))));
  return io::sample_grid(to_images(as_colours(images)), columns);
}

std::vector<io::Image> to_images(const at::Tensor& images) {
  const at::Tensor shown = images.detach().to(at::kCPU, at::kFloat).contiguous();
  const int64_t count = shown.size(0), channels = shown.size(1), height = shown.size(2), width = shown.size(3);
  std::vector<io::Image> tiles;
  for (int64_t i = 0; i < count; ++i) {
    const std::span<const float> planes(shown[i].const_data_ptr<float>(),
                                        static_cast<size_t>(channels * height * width));
    tiles.push_back(io::from_planes(planes, channels, height, width));
  }
  return tiles;
}

at::Tensor draw_samples(recipes::Recipe& recipe, torch::nn::Module& generator, uint64_t seed, int64_t first,
                        const std::vector<int64_t>& labels, at::Device device, double truncation) {
  const at::NoGradGuard no_grad;
  std::vector<int64_t> indices(labels.size());
  std::iota(indices.begin(), indices.end(), first);
  const std::vector<std::string> prompts = recipe.prompts();
  recipes::SampleOptions options{.truncation = truncation};
  at::Tensor y = at::tensor(labels, at::kLong).to(device);
  if (!prompts.empty()) {  // a model of text
    for (const int64_t label : labels) options.captions.push_back(prompts[static_cast<size_t>(label)]);
    y = at::zeros_like(y);
  }
  const at::Tensor z = recipe.latent(seed, indices, device);
  return recipe.sample(generator, z, y, options).select(0, -1);  // [K, B, C, H, W] -> [B, C, H, W]
}

double mean_distance(const at::Tensor& images, const std::vector<int64_t>& labels) {
  const at::Tensor rows = images.detach().to(at::kFloat).flatten(1);  // [B, C * H * W]
  const at::Tensor distances = at::cdist(rows, rows).to(at::kCPU) / std::sqrt(static_cast<double>(rows.size(1)));
  double sum = 0;
  int64_t pairs = 0;
  for (size_t i = 0; i < labels.size(); ++i)
    for (size_t j = i + 1; j < labels.size(); ++j) {
      if (labels[i] != labels[j]) continue;
      sum += distances[static_cast<int64_t>(i)][static_cast<int64_t>(j)].item<double>();
      ++pairs;
    }
  return pairs > 0 ? sum / static_cast<double>(pairs) : 0;
}

Snapshot::Snapshot(recipes::Recipe& recipe, const pretrained::LatentSpace& space, int64_t num_classes, int64_t count,
                   uint64_t seed, at::Device device)
    : recipe_(recipe), space_(space), seed_(seed), device_(device) {
  rows_ = recipe.prompts();
  if (!rows_.empty()) num_classes = std::ssize(rows_);
  if (std::ssize(rows_) > count) rows_.resize(static_cast<size_t>(count));
  const int64_t a_row = rows_.empty() ? 0 : count / std::ssize(rows_);
  if (a_row > 0) count = a_row * std::ssize(rows_);
  for (int64_t i = 0; i < count; ++i) grid_labels_.push_back(a_row > 0 ? i / a_row : i % num_classes);
  for (int64_t i = 0; i < kDiversity; ++i) diversity_labels_.push_back(i / kOfAClass % num_classes);
}

std::vector<io::Image> Snapshot::first_images(torch::nn::Module& generator, int64_t count) const {
  const auto end = grid_labels_.begin() + std::min(count, std::ssize(grid_labels_));
  return to_images(as_colours(space_.decode(draw(generator, {grid_labels_.begin(), end}))));
}

io::Image Snapshot::grid(torch::nn::Module& generator) const {
  const at::Tensor images = space_.decode(draw(generator, grid_labels_));
  if (rows_.empty()) return picture(images);
  const io::Image plain = io::sample_grid(to_images(images), std::ssize(grid_labels_) / std::ssize(rows_));
  return io::caption_rows(plain, rows_);
}

double Snapshot::diversity(torch::nn::Module& generator) const {
  return mean_distance(draw(generator, diversity_labels_), diversity_labels_);
}

at::Tensor Snapshot::draw(torch::nn::Module& generator, const std::vector<int64_t>& labels) const {
  const at::NoGradGuard no_grad;
  const bool training = generator.is_training();
  generator.eval();
  std::vector<at::Tensor> drawn;
  const auto count = static_cast<int64_t>(labels.size());
  for (int64_t first = 0; first < count; first += kChunk) {
    const auto begin = labels.begin() + first;
    drawn.push_back(
        draw_samples(recipe_, generator, seed_, first, {begin, begin + std::min(kChunk, count - first)}, device_));
  }
  generator.train(training);
  return at::cat(drawn);
}

}  // namespace gigacat::train
