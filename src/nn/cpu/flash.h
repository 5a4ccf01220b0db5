// Attention of float32 tensors on CPUs by blocks of queries: no [L, L] matrix is kept.
#pragma once

#include <ATen/ATen.h>

namespace gigacat::nn {

// out = softmax(q k^T / sqrt(d)) v; returns log(sum(exp(logits))) [B, h, L]. q, k, v, out: [B, h, L, d] float32 views
// whose last dimension is contiguous; out is written in place. The work does not depend on the number of threads.
// Source: Dao et al., "FlashAttention" (arXiv 2205.14135), with whole rows of logits, which fit a core's cache.
at::Tensor flash_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& out);

struct FlashGrads {
  at::Tensor q, k, v;
};

// Writes the gradients of flash_attention into the views `to`; sums is what it returned.
void flash_attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const at::Tensor& out, const at::Tensor& sums, const FlashGrads& to);

}  // namespace gigacat::nn
