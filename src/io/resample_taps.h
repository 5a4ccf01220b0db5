// Which source pixels make a result of one axis, and with what weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gigacat::io {

struct Filter {
  double support;
  double (*weight)(double x);
};

// PIL's. Cubic: Keys' with a = -0.5; Lanczos: three lobes.
extern const Filter kBox, kBilinear, kBicubic, kLanczos;

// What is made of one axis: results `begin` to `begin + size` of an axis of `whole`.
struct Cut {
  int64_t whole, begin, size;
};

// For each result the first source pixel, the number of them, and their weights (`stride` apart from the next
// result's), which add up to one.
struct Taps {
  std::vector<int32_t> first, count;
  std::vector<double> weights;
  size_t stride = 0;

  int64_t results() const { return static_cast<int64_t>(first.size()); }
};

// PIL's: the filter is stretched when the axis shrinks, so that every source pixel counts.
Taps make_taps(int64_t source, const Cut& cut, const Filter& filter);

// Two neighbours whatever the scale. `half_pixel`: pixel centres lie at 0.5, 1.5, ... as in PyTorch (align_corners
// false); otherwise at 0, 1, ... times the scale as in TensorFlow 1. Places are computed in float32, as both do.
Taps linear_taps(int64_t source, int64_t results, bool half_pixel);

}  // namespace gigacat::io
