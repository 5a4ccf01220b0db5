// Bicubic resampling of an image whose rows come, or are wanted, one strip after the other.
// Letters: C channels, H x W before, H' x W' after.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "upsample/tiling.h"

namespace gigacat::upsample {

// How rows before and after belong together: the same pattern of weights in every cell.
struct RowCells {
  RowCells(int64_t height, int64_t new_height);
  int64_t count, in, out, pad;  // cells; rows of one before and after; cells around one that its weights reach
};

// Rows [first, last) of the image [C, H, W] resampled to H' x W' (antialiased, a = -0.5): [C, last - first, W'].
at::Tensor resampled_rows(const at::Tensor& image, int64_t new_height, int64_t new_width, int64_t first, int64_t last);

// The same of rows as they come; gives out strips as soon as they are known, to the last rounding those of the whole.
class StripResampler {
 public:
  StripResampler(int64_t height, int64_t new_height, int64_t new_width, RowSink sink);
  // The next rows [C, n, W].
  void add(const at::Tensor& rows);

 private:
  void give_out(int64_t until);
  RowCells cells_;
  int64_t new_width_, kept_ = 0, done_ = 0;  // first cell of rows_; cells given out
  at::Tensor rows_;
  RowSink sink_;
};

}  // namespace gigacat::upsample
