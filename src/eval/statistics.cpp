// Letters: N rows, B rows of a block, D features.
#include "gigacat/eval/statistics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "gigacat/core/error.h"

namespace gigacat::eval {
namespace {

// Rows of one product: enough that the D x D result is not what costs.
constexpr int64_t kBlockRows = 256;

at::Tensor widened(const at::Tensor& features) {
  const at::NoGradGuard no_grad;
  return features.detach().to(at::kCPU).to(at::kDouble);
}

// A symmetric A as F F^T. Cholesky is the cheaper way and as exact; it fails only for a singular A.
at::Tensor factor(const at::Tensor& symmetric) {
  const auto [lower, fault] = at::linalg_cholesky_ex(symmetric);
  if (fault.item<int>() == 0) return lower;
  const auto [values, vectors] = at::linalg_eigh(symmetric);
  return vectors * values.clamp_min(0).sqrt();
}

void check_finite(const Gaussian& g, const char* which) {
  if (g.mean.isfinite().all().item<bool>() && g.covariance.isfinite().all().item<bool>()) return;
  fail("the ", which, " statistics hold values that are not finite");
}

}  // namespace

void Moments::add(const at::Tensor& features) {
  GIGACAT_CHECK(features.dim() == 2 && features.size(0) > 0, "features of ", features.sizes());
  if (width_ == 0) width_ = features.size(1);
  GIGACAT_CHECK(features.size(1) == width_, features.sizes(), " after features of width ", width_);
  waiting_.push_back(widened(features));
  waiting_rows_ += features.size(0);
  count_ += features.size(0);
  if (waiting_rows_ >= kBlockRows) fold();
}

void Moments::fold() const {
  if (waiting_.empty()) return;
  const at::Tensor rows = at::cat(std::exchange(waiting_, {}));  // [B, D]
  waiting_rows_ = 0;
  const at::Tensor mean = rows.mean(0), centred = rows - mean;
  combine(rows.size(0), mean, at::matmul(centred.t(), centred));
}

void Moments::combine(int64_t count, const at::Tensor& mean, const at::Tensor& scatter) const {
  if (folded_ == 0) {
    mean_ = mean;
    scatter_ = scatter;
  } else {
    const double before = static_cast<double>(folded_), now = static_cast<double>(count);
    const at::Tensor shift = mean - mean_;
    scatter_ += scatter;
    scatter_.addr_(shift, shift, 1, before * now / (before + now));
    mean_ += shift * (now / (before + now));
  }
  folded_ += count;
}

void Moments::merge(dist::Group& group, int64_t width) {
  fold();
  if (group.size() == 1) return;
  if (folded_ == 0) {
    mean_ = at::zeros({width}, at::kDouble);
    scatter_ = at::zeros({width, width}, at::kDouble);
  }
  const auto all = static_cast<int64_t>(group.sum(static_cast<double>(folded_), "number of features"));
  if (all == 0) return;
  at::Tensor mean = mean_ * (static_cast<double>(folded_) / static_cast<double>(all));
  group.all_reduce(mean, dist::Reduce::sum, "mean of features");
  const at::Tensor shift = mean_ - mean;
  scatter_.addr_(shift, shift, 1, static_cast<double>(folded_));
  group.all_reduce(scatter_, dist::Reduce::sum, "covariance of features");
  mean_ = mean;
  folded_ = count_ = all;
}

Gaussian Moments::gaussian() const {
  fold();
  if (folded_ < 2) fail("statistics need two images at least, not ", folded_);
  return {mean_.clone(), scatter_ / static_cast<double>(folded_ - 1)};
}

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  if (a.mean.sizes() != b.mean.sizes())
    fail("features of width ", a.mean.size(0), " cannot be compared with those of width ", b.mean.size(0));
  check_finite(a, "real");
  check_finite(b, "fake");
  const at::NoGradGuard no_grad;
  const at::Tensor difference = a.mean - b.mean;
  // A = F F^T: the eigenvalues of A B are those of the symmetric F^T B F.
  const at::Tensor f = factor(a.covariance), product = at::matmul(f.t(), at::matmul(b.covariance, f));
  const at::Tensor values = at::linalg_eigvalsh((product + product.t()) / 2);
  const double root = values.clamp_min(0).sqrt().sum().item<double>();
  // Rounding takes the distance of equal sets a little below 0.
  return std::max(0.0, difference.dot(difference).item<double>() + a.covariance.trace().item<double>() +
                           b.covariance.trace().item<double>() - 2 * root);
}

}  // namespace gigacat::eval
