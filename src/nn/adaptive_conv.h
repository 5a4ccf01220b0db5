// The arithmetic of an adaptive convolution in parts: y = demodulation * mixed_conv(style * x).
#pragma once

#include <ATen/core/Tensor.h>

#include "gigacat/nn/modulated_conv.h"

namespace gigacat::nn {

// Convolution with its resampling: x [B, g I, H, W], weight [g O, I, k, k] -> [B, g O, H', W'].
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const ModulatedOptions& options, int64_t groups);

// Convolution of each sample with its mixture of the bank: x [B, I, H, W], bank [N, O, I, k, k], selection [B, N] or
// undefined -> [B, O, H', W'].
at::Tensor mixed_conv(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection,
                      const ModulatedOptions& options);

// rsqrt(gain^2 sum_i style_i^2 sum_k mixture[o, i, k]^2 + 1e-8) in float32 (double where the bank is): [B, O].
at::Tensor demodulation(const at::Tensor& bank, const at::Tensor& selection, const at::Tensor& style, double gain);

}  // namespace gigacat::nn
