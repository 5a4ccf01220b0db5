#include "upsample/strip_resampler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "gigacat/core/error.h"

// Letters as in the header.
namespace gigacat::upsample {
namespace {

constexpr int64_t kReach = 3;   // rows on each side that bicubic weights reach, times the reduction
constexpr int64_t kStrip = 64;  // rows that are given out at once, about

// The image's cells [first, last) resampled, from an image that begins with cell `offset`.
at::Tensor resampled_cells(const at::Tensor& image, int64_t offset, const RowCells& cells, int64_t new_width,
                           int64_t first, int64_t last) {
  const int64_t top = std::max<int64_t>(0, first - cells.pad), bottom = std::min(cells.count, last + cells.pad);
  const at::Tensor window = image.narrow(1, (top - offset) * cells.in, (bottom - top) * cells.in).unsqueeze(0);
  const at::Tensor whole = at::_upsample_bicubic2d_aa(window, {(bottom - top) * cells.out, new_width}, false)[0];
  return whole.narrow(1, (first - top) * cells.out, (last - first) * cells.out);
}

}  // namespace

RowCells::RowCells(int64_t height, int64_t new_height)
    : count(std::gcd(height, new_height)), in(height / count), out(new_height / count) {
  pad = (kReach * std::max<int64_t>(1, (in + out - 1) / out) + in - 1) / in;
}

at::Tensor resampled_rows(const at::Tensor& image, int64_t new_height, int64_t new_width, int64_t first, int64_t last) {
  const RowCells cells(image.size(1), new_height);
  const int64_t from = first / cells.out, to = (last + cells.out - 1) / cells.out;
  return resampled_cells(image, 0, cells, new_width, from, to).narrow(1, first - from * cells.out, last - first);
}

StripResampler::StripResampler(int64_t height, int64_t new_height, int64_t new_width, RowSink sink)
    : cells_(height, new_height), new_width_(new_width), sink_(std::move(sink)) {}

void StripResampler::add(const at::Tensor& rows) {
  rows_ = rows_.defined() ? at::cat({rows_, rows}, 1) : rows.clone();
  const int64_t whole = kept_ + rows_.size(1) / cells_.in;  // cells that are there
  if (whole == cells_.count) return give_out(cells_.count);
  const int64_t ready = whole - cells_.pad;
  if ((ready - done_) * cells_.out >= kStrip) give_out(ready);
}

void StripResampler::give_out(int64_t until) {
  if (until <= done_) return;
  sink_(resampled_cells(rows_, kept_, cells_, new_width_, done_, until));
  done_ = until;
  const int64_t keep = std::max(kept_, done_ - cells_.pad);
  rows_ = rows_.narrow(1, (keep - kept_) * cells_.in, rows_.size(1) - (keep - kept_) * cells_.in).clone();
  kept_ = keep;
}

}  // namespace gigacat::upsample
