// Attention whose logits are negative squared distances, which has a bounded Lipschitz constant.
// Source: GigaGAN (arXiv 2303.05511) section 3.2, after arXiv 2006.04710.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "gigacat/nn/equalized.h"

namespace gigacat::nn {

// Letters: B batch, h heads, T queries, S keys, d head width.
//
// softmax_j(-|q_i - k_j|^2 / sqrt(d)) v_j. q [B, h, T, d], k and v [B, h, S, d], mask [B, S] bool (true: visible;
// undefined: all) -> [B, h, T, d]. Queries and keys are moved to the keys' mean, and the keys' squared norms ride along
// as further channels, in three parts where the type is short, so that the fused kernels of dot-product attention
// serve. Inside a TwiceDifferentiable scope and in double precision plain operations run. A row whose keys are all
// masked is not defined.
at::Tensor l2_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask = {});

// The same by plain operations, distances from differences: memory B h T S d.
at::Tensor l2_attention_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const at::Tensor& mask = {});

// A learned key or value [h, d] in front of the others: rows [B, h, S, d] -> [B, h, 1 + S, d].
at::Tensor with_null(const at::Tensor& null, const at::Tensor& rows);

// Tokens of features, row-major, heads apart: [B, T, h * d] -> [B, h, T, d], and back.
at::Tensor split_heads(const at::Tensor& tokens, int64_t heads);
at::Tensor join_heads(const at::Tensor& heads);

// Self-attention over tokens by distance: equalised projections qk (tied) or q and k, v, without bias, and out with
// one. Parameters qk.weight [I, C] or q.weight and k.weight, v.weight, out.weight [C, I], out.bias; I inner width.
class L2SelfAttentionImpl : public torch::nn::Module {
 public:
  // Errors: InternalError when inner is not divisible by heads.
  L2SelfAttentionImpl(int64_t channels, int64_t inner, int64_t heads, bool tied, const Init& init);
  // x [B, T, C] -> [B, T, C], without residual.
  at::Tensor forward(const at::Tensor& x);

 private:
  int64_t heads_;
  EqualizedLinear qk_{nullptr}, q_{nullptr}, k_{nullptr}, v_{nullptr}, out_{nullptr};
};
TORCH_MODULE(L2SelfAttention);

}  // namespace gigacat::nn
