// Metrics of nearest neighbours, in blocks of rows. Letters: N real rows, M generated rows, D features, B rows of a
// block.
#include <ATen/ATen.h>

#include <algorithm>

#include "gigacat/core/error.h"
#include "gigacat/eval/metrics.h"

namespace gigacat::eval {
namespace {

// Most squared distances in memory at once.
constexpr int64_t kBlockElements = int64_t{1} << 24;

int64_t block_rows(int64_t others) { return std::clamp<int64_t>(kBlockElements / others, 1, 4096); }

// Rows with their squared lengths, computed once.
struct Rows {
  explicit Rows(const at::Tensor& features)
      : values(features.detach().to(at::kDouble)), lengths(values.square().sum(1)) {}
  int64_t count() const { return values.size(0); }
  at::Tensor values;   // [N, D]
  at::Tensor lengths;  // [N], squared
};

// Squared distances of rows [begin, end) of x to all rows of y, [B, M].
at::Tensor distances(const Rows& x, int64_t begin, int64_t end, const Rows& y) {
  const at::Tensor products = at::matmul(x.values.slice(0, begin, end), y.values.t());
  return (x.lengths.slice(0, begin, end).unsqueeze(1) - 2 * products + y.lengths.unsqueeze(0)).clamp_min_(0);
}

at::Tensor radii_of(const Rows& x, int64_t k) {
  const int64_t count = x.count(), step = block_rows(count);
  if (count <= k) fail("the ", k, "-th neighbour of ", count, " images does not exist: more images are needed");
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < count; begin += step) {
    const int64_t end = std::min(begin + step, count);
    at::Tensor block = distances(x, begin, end, x);
    const at::Tensor own = at::arange(end - begin, at::TensorOptions(at::kLong).device(block.device()));
    block.index_put_({own, own + begin},
                     at::scalar_tensor(HUGE_VAL, block.options()));  // the row itself does not count
    parts.push_back(std::get<0>(block.topk(k, 1, /*largest=*/false, /*sorted=*/true)).select(1, k - 1));
  }
  return at::cat(parts);
}

// Membership in balls over all pairs of real and fake rows. Inside: distance <= radius, or < when `strict`.
struct Pairs {
  at::Tensor fake_in_any_real;  // [M] bool
  at::Tensor real_in_any_fake;  // [N] bool
  at::Tensor balls_of_fake;     // [M]: real balls that hold it
  at::Tensor real_holds_any;    // [N] bool
};

Pairs compare(const Rows& real, const at::Tensor& real_radii, const Rows& fake, const at::Tensor& fake_radii,
              bool strict) {
  const auto inside = [strict](const at::Tensor& d, const at::Tensor& r) { return strict ? d < r : d <= r; };
  const int64_t step = block_rows(fake.count());
  Pairs pairs;
  at::Tensor balls = at::zeros({fake.count()}, real.values.options().dtype(at::kLong));
  std::vector<at::Tensor> in_fake, holds;
  for (int64_t begin = 0; begin < real.count(); begin += step) {
    const int64_t end = std::min(begin + step, real.count());
    const at::Tensor d = distances(real, begin, end, fake);  // [B, M]
    const at::Tensor in_real = inside(d, real_radii.slice(0, begin, end).unsqueeze(1));
    balls += in_real.sum(0);
    holds.push_back(in_real.any(1));
    in_fake.push_back(inside(d, fake_radii.unsqueeze(0)).any(1));
  }
  return {balls > 0, at::cat(in_fake), balls, at::cat(holds)};
}

double part(const at::Tensor& flags) { return flags.to(at::kDouble).mean().item<double>(); }

Pairs compare(const at::Tensor& real, const at::Tensor& fake, int64_t k, bool strict) {
  GIGACAT_CHECK(real.dim() == 2 && fake.dim() == 2 && real.size(1) == fake.size(1), real.sizes(), " and ",
                fake.sizes());
  const at::NoGradGuard no_grad;
  const Rows x(real), y(fake);
  return compare(x, radii_of(x, k), y, radii_of(y, k), strict);
}

}  // namespace

at::Tensor squared_radii(const at::Tensor& x, int64_t k) {
  const at::NoGradGuard no_grad;
  return radii_of(Rows(x), k);
}

PrecisionRecall precision_recall(const at::Tensor& real, const at::Tensor& fake, int64_t k) {
  const Pairs pairs = compare(real, fake, k, /*strict=*/false);
  return {part(pairs.fake_in_any_real), part(pairs.real_in_any_fake)};
}

DensityCoverage density_coverage(const at::Tensor& real, const at::Tensor& fake, int64_t k) {
  const Pairs pairs = compare(real, fake, k, /*strict=*/true);
  const double balls = pairs.balls_of_fake.to(at::kDouble).mean().item<double>();
  return {part(pairs.fake_in_any_real), part(pairs.real_in_any_fake), balls / static_cast<double>(k),
          part(pairs.real_holds_any)};
}

double kept_bytes(int64_t rows, int64_t width) { return static_cast<double>(rows) * static_cast<double>(width) * 4; }

// Both sides in double, and about four blocks.
double distance_bytes(int64_t real, int64_t fake, int64_t width) {
  return 2 * kept_bytes(real + fake, width) + 4 * 8 * static_cast<double>(kBlockElements);
}

}  // namespace gigacat::eval
