// Letters: N real rows, M generated rows, D features, B rows of a block.
#include "gigacat/eval/metrics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "eval/numpy_random.h"
#include "gigacat/core/error.h"
#include "gigacat/core/random.h"

namespace gigacat::eval {
namespace {

at::Tensor rows_of(const std::vector<int64_t>& indices) { return at::tensor(indices, at::kLong); }

// Sum of (x_i . y_j / D + 1)^3 over all pairs.
at::Tensor kernel(const at::Tensor& x, const at::Tensor& y) {
  return (at::matmul(x, y.t()) / static_cast<double>(x.size(1)) + 1).pow(3);
}

// Mean of exp(-|x - y|^2 / (2 sigma^2)) over all pairs of rows of length 1.
double mean_gaussian(const at::Tensor& x, const at::Tensor& y, double sigma) {
  constexpr int64_t kRows = 1024;
  double sum = 0;
  for (const at::Tensor& block : x.split(kRows)) {
    const at::Tensor squared = 2 - 2 * at::matmul(block, y.t());  // [B, M]
    sum += (squared / (-2 * sigma * sigma)).exp().sum().item<double>();
  }
  return sum / static_cast<double>(x.size(0)) / static_cast<double>(y.size(0));
}

at::Tensor normalised(const at::Tensor& rows) {
  const at::Tensor wide = rows.to(at::kDouble);
  return wide / wide.norm(2, {1}, /*keepdim=*/true);
}

}  // namespace

Score score_of(std::vector<double> each) {
  GIGACAT_CHECK(!each.empty());
  Score score;
  const auto count = static_cast<double>(each.size());
  score.mean = std::accumulate(each.begin(), each.end(), 0.0) / count;
  for (const double value : each) score.spread += (value - score.mean) * (value - score.mean);
  score.spread = std::sqrt(score.spread / count);
  score.each = std::move(each);
  return score;
}

double polynomial_mmd(const at::Tensor& x, const at::Tensor& y, bool unbiased) {
  GIGACAT_CHECK(x.sizes() == y.sizes() && x.dim() == 2, x.sizes(), " and ", y.sizes());
  const at::NoGradGuard no_grad;
  const at::Tensor a = x.to(at::kDouble), b = y.to(at::kDouble);
  const at::Tensor xx = kernel(a, a), yy = kernel(b, b), xy = kernel(a, b);
  const auto m = static_cast<double>(a.size(0));
  at::Tensor within = xx.sum() + yy.sum();
  if (unbiased) within -= xx.trace() + yy.trace();
  return within.item<double>() / (unbiased ? m * (m - 1) : m * m) - 2 * xy.sum().item<double>() / (m * m);
}

std::pair<at::Tensor, at::Tensor> kernel_distance_rows(int64_t real, int64_t fake, const KidOptions& options) {
  const int64_t size = options.subset_size;
  if (std::min(real, fake) < size)
    fail("kid draws subsets of ", size, " images, but one side has ", std::min(real, fake));
  if (size < 2) fail("kid needs subsets of two images at least, not ", size);
  NumpyRandom random(options.seed);
  std::vector<at::Tensor> of_real, of_fake;
  for (int64_t i = 0; i < options.subsets; ++i) {
    of_real.push_back(rows_of(random.choice(real, size)));
    of_fake.push_back(rows_of(random.choice(fake, size)));
  }
  return {at::stack(of_real), at::stack(of_fake)};
}

Score kernel_distance(const at::Tensor& real, const at::Tensor& fake, const KidOptions& options) {
  const auto [of_real, of_fake] = kernel_distance_rows(real.size(0), fake.size(0), options);
  std::vector<double> each;
  for (int64_t i = 0; i < options.subsets; ++i)
    each.push_back(polynomial_mmd(real.index_select(0, of_real[i].to(real.device())),
                                  fake.index_select(0, of_fake[i].to(fake.device())), /*unbiased=*/true));
  return score_of(std::move(each));
}

std::vector<int64_t> equal_pieces(int64_t total, int64_t pieces) {
  std::vector<int64_t> ends;
  pieces = std::min(pieces, total);
  for (int64_t i = 1; i <= pieces; ++i) ends.push_back(i * total / pieces);
  return ends;
}

std::vector<int64_t> pieces_of(int64_t total, int64_t length) {
  std::vector<int64_t> ends;
  for (int64_t end = length; end < total; end += length) ends.push_back(end);
  ends.push_back(total);
  return ends;
}

InceptionScore::InceptionScore(std::vector<int64_t> ends, int64_t classes)
    : ends_(std::move(ends)),
      classes_(classes),
      sums_(at::zeros({static_cast<int64_t>(ends_.size()), classes + 2}, at::kDouble)) {
  GIGACAT_CHECK(!ends_.empty() && ends_.front() > 0 && std::is_sorted(ends_.begin(), ends_.end()));
}

void InceptionScore::add(const at::Tensor& logits, int64_t first) {
  const at::NoGradGuard no_grad;
  const int64_t last = first + logits.size(0);
  GIGACAT_CHECK(first >= 0 && last <= ends_.back() && logits.size(1) == classes_, first, " ", logits.sizes());
  const at::Tensor log_p = logits.detach().to(at::kCPU).to(at::kDouble).log_softmax(1), p = log_p.exp();
  const at::Tensor entropy = at::xlogy(p, p).sum(1);
  int64_t begin_of_piece = 0;
  for (size_t i = 0; i < ends_.size(); begin_of_piece = ends_[i++]) {
    const int64_t begin = std::max(first, begin_of_piece), end = std::min(last, ends_[i]);
    if (begin >= end) continue;
    const at::Tensor sums = sums_[static_cast<int64_t>(i)];
    sums.narrow(0, 0, classes_).add_(p.slice(0, begin - first, end - first).sum(0));
    sums.select(0, classes_).add_(entropy.slice(0, begin - first, end - first).sum());
    sums.select(0, classes_ + 1).add_(static_cast<double>(end - begin));
  }
}

void InceptionScore::merge(dist::Group& group) {
  if (group.size() > 1) group.all_reduce(sums_, dist::Reduce::sum, "inception score");
}

Score InceptionScore::score() const {
  std::vector<double> each;
  for (int64_t piece = 0; piece < sums_.size(0); ++piece) {
    const at::Tensor sums = sums_[piece];
    const double count = sums[classes_ + 1].item<double>();
    if (count == 0) continue;
    const at::Tensor mean = sums.narrow(0, 0, classes_) / count;
    const double cross = at::xlogy(mean, mean).sum().item<double>();
    each.push_back(std::exp(sums[classes_].item<double>() / count - cross));
  }
  return score_of(std::move(each));
}

double cmmd(const at::Tensor& real, const at::Tensor& fake) {
  constexpr double kSigma = 10, kScale = 1000;
  const at::NoGradGuard no_grad;
  const at::Tensor x = normalised(real), y = normalised(fake);
  const double squared = mean_gaussian(x, x, kSigma) + mean_gaussian(y, y, kSigma) - 2 * mean_gaussian(x, y, kSigma);
  return kScale * std::max(0.0, squared);  // rounding takes that of equal sets a little below 0
}

double sliced_wasserstein(const at::Tensor& x, const at::Tensor& y) {
  constexpr int64_t kDirections = 512, kAtOnce = 64;
  GIGACAT_CHECK(x.dim() == 2 && x.sizes() == y.sizes(), x.sizes(), " and ", y.sizes());
  const at::NoGradGuard no_grad;
  at::Tensor directions = at::empty({kDirections, x.size(1)}, at::kFloat);
  const auto count = static_cast<size_t>(directions.numel());
  Stream(0, "eval.sliced").normal(0, 0, {directions.data_ptr<float>(), count});
  directions = (directions / directions.norm(2, {1}, /*keepdim=*/true)).to(x.device());
  double sum = 0;
  for (const at::Tensor& some : directions.split(kAtOnce)) {
    const at::Tensor a = std::get<0>(at::matmul(some, x.t()).sort(1)), b = std::get<0>(at::matmul(some, y.t()).sort(1));
    sum += (a - b).abs().to(at::kDouble).mean(1).sum().item<double>();
  }
  return sum / kDirections;
}

at::Tensor clip_scores(const at::Tensor& image, const at::Tensor& text) {
  GIGACAT_CHECK(image.sizes() == text.sizes(), image.sizes(), " and ", text.sizes());
  const at::NoGradGuard no_grad;
  return (normalised(image) * normalised(text)).sum(1);
}

}  // namespace gigacat::eval
