// One value of a separable FIR resampling, for the GPU and, in a test, for the CPU.
#pragma once

#include <cstdint>

#include "core/device_code.h"

namespace gigacat::device {

constexpr int kMostTaps = 16;

// As nn::upfirdn2d: up - 1 zeros behind each sample, `left` and `top` zeros before the first (negative: cropped),
// convolution with the taps, every down-th value kept.
struct Fir {
  int64_t height, width, rows, columns;  // of a plane that is read; that is written
  int up, down, left, top, taps;
  float flipped[kMostTaps];
};

// The first tap under which a sample lies and not a zero between two.
GIGACAT_BOTH int first_tap(int64_t start, int up) {
  const auto off = static_cast<int>(start % up);
  return off == 0 ? 0 : (off > 0 ? up - off : -off);
}

// Value (y, x) of a plane; load(i) gives sample i of the plane that is read.
template <class Load>
GIGACAT_BOTH float fir_at(const Fir& fir, int64_t y, int64_t x, const Load& load) {
  const int64_t top = y * fir.down - fir.top, left = x * fir.down - fir.left;  // where the first tap lies
  const int first_row = first_tap(top, fir.up), first_column = first_tap(left, fir.up);
  float sum = 0;
  for (int k = first_row; k < fir.taps; k += fir.up) {
    const int64_t row = (top + k) / fir.up;
    if (top + k < 0 || row >= fir.height) continue;
    float along = 0;
    for (int l = first_column; l < fir.taps; l += fir.up) {
      const int64_t column = (left + l) / fir.up;
      if (left + l >= 0 && column < fir.width) along += fir.flipped[l] * load(row * fir.width + column);
    }
    sum += fir.flipped[k] * along;
  }
  return sum;
}

}  // namespace gigacat::device
