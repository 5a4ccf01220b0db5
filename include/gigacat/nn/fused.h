// Element-wise chains of a transformer block as single passes over memory.
//
// On the CPU each runs as one vectorised kernel with a hand-written backward; elsewhere, for double precision, and
// inside a TwiceDifferentiable scope it runs as plain LibTorch operations with the same numbers. Under autocast the
// results that feed a matrix product come out in the autocast type.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "gigacat/nn/position.h"

namespace gigacat::nn {

// While one lives, every operation of this thread can be differentiated twice (exact gradient penalties need it).
class TwiceDifferentiable {
 public:
  TwiceDifferentiable();
  ~TwiceDifferentiable();
  TwiceDifferentiable(const TwiceDifferentiable&) = delete;
  TwiceDifferentiable& operator=(const TwiceDifferentiable&) = delete;
  static bool active();
};

// RMS norm with a weight: x * rsqrt(mean(x^2) + eps) * weight. x [..., D], weight [D].
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

// RMS norm without affine, modulated: x * rsqrt(mean(x^2) + eps) * (1 + scale). x [B, T, D], scale [B, D].
at::Tensor rms_norm_modulate(const at::Tensor& x, const at::Tensor& scale, double eps);

// x + gate * y, the residual of a block. x, y [B, T, D]; gate [B, D] (per sample) or [D].
at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y);

// silu(a) * b of x = [a, b] halved on the last dimension. x [..., 2F] -> [..., F].
at::Tensor swiglu(const at::Tensor& x);

// Queries and keys, [B, T, h, d] each.
struct QueryKey {
  at::Tensor q, k;
};

// Queries and keys of attention: RMS norm over each head (weights [d]; undefined: no norm), then rotary embedding.
// qkv [B, T, 3, h, d] -> q and k [B, T, h, d]. For looking at them; no gradient flows where kernels run.
QueryKey query_key(const at::Tensor& qkv, const at::Tensor& q_weight, const at::Tensor& k_weight, double eps,
                   const Rotary& rotary);

// softmax(q k^T / sqrt(d)) v with q, k as above. qkv [B, T, 3, h, d] -> [B, T, h * d]. `parts`: lengths of consecutive
// runs of tokens that see only themselves; empty: one run. Errors: InternalError when the rotary table is not T long.
at::Tensor self_attention(const at::Tensor& qkv, const at::Tensor& q_weight, const at::Tensor& k_weight, double eps,
                          const Rotary& rotary, const std::vector<int64_t>& parts = {});

}  // namespace gigacat::nn
