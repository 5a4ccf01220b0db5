// FIR up- and downsampling of images and features. Source: StyleGAN2's upfirdn2d (arXiv 1912.04958).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace gigacat::nn {

// Zeros added on each side; negative values crop.
struct Pads {
  int64_t left = 0, right = 0, top = 0, bottom = 0;
};

// Each sample is followed by up - 1 zeros, the image padded, CONVOLVED with the filter / sum(filter) * gain, and every
// down-th sample kept. x [B, C, H, W] -> [B, C, (H * up + pads - taps) / down + 1, ...]. filter: [taps] for a separable
// one (its outer product with itself) or [rows, columns]. Differentiable any number of times.
at::Tensor upfirdn2d(const at::Tensor& x, const at::Tensor& filter, int64_t up, int64_t down, const Pads& pads,
                     double gain);

// Twice the size, half of it, the same size, filtered with [1, 3, 3, 1]: x [B, C, H, W] -> [B, C, 2H, 2W]; [B, C, H /
// 2, W / 2], rounding down; [B, C, H, W].
at::Tensor upsample2d(const at::Tensor& x);
at::Tensor downsample2d(const at::Tensor& x);
at::Tensor filter2d(const at::Tensor& x);

// What a 3 x 3 convolution of stride 2 without padding reads: x [B, C, H, W] -> [B, C, H + 1, W + 1].
at::Tensor filter_for_stride(const at::Tensor& x);
// What a 3 x 3 transposed convolution of stride 2 gave, smoothed: y [B, C, 2H + 1, 2W + 1] -> [B, C, 2H, 2W].
at::Tensor filter_after_stride(const at::Tensor& y);

}  // namespace gigacat::nn
