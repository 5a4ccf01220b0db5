// 3 x 3 convolutions by Winograd's transforms: a quarter (tiles of 4 x 4) or four ninths (2 x 2) of the
// multiplications. Nothing but the inputs is kept for the backward pass, and no sample's kernel exists as a whole: they
// are mixed, transformed and used some outputs at a time. Source: Lavin and Gray (arXiv 1509.09308); the mixture and
// its demodulation as in nn/modulated_conv.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace gigacat::nn {

// Side of the tiles with which a 3 x 3 convolution of x [B, I, H, W] to `outputs` channels is faster than LibTorch's; 0
// where it is not, or where the transforms do not serve (not on the CPU, not float32, autocast, inside
// TwiceDifferentiable, channels that are no multiples of 16). per_sample: each sample has its own kernel.
int64_t winograd_tile(const at::Tensor& x, int64_t outputs, bool per_sample);

// y = d * (K_b (scale_b x_b)), zero padding 1. K_b = sum_n selection[b, n] bank[n]; d = rsqrt(sum_i scale[b, i]^2 sum_k
// K_b[o, i, k]^2 + 1e-8) with `demodulate`, else 1. x [B, I, H, W], bank [N, O, I, 3, 3], selection [B, N] (undefined:
// N is 1, and d is not made here), scale [B, I] (undefined: 1), tile 2 or 4 -> [B, O, H, W]. All float32. Errors:
// InternalError when its gradient is to be differentiated again.
at::Tensor winograd_conv(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection,
                         const at::Tensor& scale, bool demodulate, int64_t tile);

}  // namespace gigacat::nn
