#include "gigacat/nn/resample.h"

#include <ATen/Functions.h>

#include <cmath>

#include "gigacat/core/error.h"
#include "nn/fir.h"

namespace gigacat::nn {
namespace {

at::Tensor binomial() { return at::tensor({1.0, 3.0, 3.0, 1.0}, at::kDouble); }

// Convolution of the columns (dim 3) or rows (dim 2) of each channel with taps that are already flipped.
at::Tensor along(const at::Tensor& x, const at::Tensor& flipped, int64_t dim, int64_t stride) {
  const bool columns = dim == 3;
  const int64_t channels = x.size(1), taps = flipped.size(0);
  const at::Tensor weight = flipped.view({1, 1, columns ? 1 : taps, columns ? taps : 1}).expand({channels, 1, -1, -1});
  const std::vector<int64_t> strides = columns ? std::vector<int64_t>{1, stride} : std::vector<int64_t>{stride, 1};
  return at::conv2d(x, weight, {}, strides, at::IntArrayRef{0, 0}, at::IntArrayRef{1, 1}, channels);
}

at::Tensor insert_zeros(const at::Tensor& x, int64_t up) {
  if (up == 1) return x;
  const at::Tensor spread = at::constant_pad_nd(x.unsqueeze(3).unsqueeze(5), {0, up - 1, 0, 0, 0, up - 1});
  return spread.flatten(4, 5).flatten(2, 3);  // [B, C, H, up, W, up] -> [B, C, H * up, W * up]
}

}  // namespace

at::Tensor upfirdn2d(const at::Tensor& x, const at::Tensor& filter, int64_t up, int64_t down, const Pads& pads,
                     double gain) {
  GIGACAT_CHECK(x.dim() == 4 && (filter.dim() == 1 || filter.dim() == 2), "image ", x.sizes(), ", filter ",
                filter.sizes());
  if (filter.dim() == 1 && serves_fir(x, filter.size(0))) {
    const at::Tensor taps = (filter / filter.sum() * std::sqrt(gain)).to(at::kCPU, at::kFloat).contiguous();
    const float* const first = taps.const_data_ptr<float>();
    return fir(x, {{first, first + taps.numel()}, up, down, pads});
  }
  const at::Tensor padded = at::constant_pad_nd(insert_zeros(x, up), {pads.left, pads.right, pads.top, pads.bottom});
  const at::Tensor taps = (filter / filter.sum()).to(x.options());
  if (taps.dim() == 1) {
    const at::Tensor flipped = taps.flip(0);
    return along(along(padded, flipped * gain, 3, down), flipped, 2, down);
  }
  const at::Tensor weight = (taps * gain).flip({0, 1}).expand({x.size(1), 1, -1, -1});
  return at::conv2d(padded, weight, {}, at::IntArrayRef{down, down}, at::IntArrayRef{0, 0}, at::IntArrayRef{1, 1},
                    x.size(1));
}

at::Tensor upsample2d(const at::Tensor& x) { return upfirdn2d(x, binomial(), 2, 1, {2, 1, 2, 1}, 4); }
at::Tensor downsample2d(const at::Tensor& x) { return upfirdn2d(x, binomial(), 1, 2, {1, 1, 1, 1}, 1); }
at::Tensor filter2d(const at::Tensor& x) { return upfirdn2d(x, binomial(), 1, 1, {2, 1, 2, 1}, 1); }
at::Tensor filter_for_stride(const at::Tensor& x) { return upfirdn2d(x, binomial(), 1, 1, {2, 2, 2, 2}, 1); }
at::Tensor filter_after_stride(const at::Tensor& y) { return upfirdn2d(y, binomial(), 1, 1, {1, 1, 1, 1}, 4); }

}  // namespace gigacat::nn
