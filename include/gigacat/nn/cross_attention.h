// Attention from pixels to the tokens of a text. Source: GigaGAN (arXiv 2303.05511) section 3.2.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <string>

#include "gigacat/nn/equalized.h"

namespace gigacat::nn {

struct CrossAttentionOptions {
  int64_t inner = 0, heads = 1;
  std::string logits = "dot";  // "dot", or "l2" for negative squared distances
  std::string null = "token";  // "token": a vector of the text's space in front; "kv": a key and a value for each head
};

// Letters: B batch, T pixels, C their channels, L tokens, D their width, I inner width, h heads.
//
// Queries from pixels, keys and values from tokens, without bias; a learned null in front of the tokens, never masked,
// so that a pixel can attend to nothing. Parameters null [D] or null_k, null_v [h, I / h]; q.weight [I, C], k.weight,
// v.weight [I, D], out.weight [C, I], out.bias.
class CrossAttentionImpl : public torch::nn::Module {
 public:
  // Errors: InternalError when inner is not divisible by heads or a choice is unknown.
  CrossAttentionImpl(int64_t channels, int64_t token_dim, const CrossAttentionOptions& options, const Init& init);
  // x [B, T, C], tokens [B, L, D], mask [B, L] bool (true: a token, false: padding) -> [B, T, C], without residual.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& tokens, const at::Tensor& mask);
  // Attention weight of the null, [B, h, T].
  at::Tensor null_share(const at::Tensor& x, const at::Tensor& tokens, const at::Tensor& mask);

 private:
  struct Rows {
    at::Tensor q, k, v, mask;  // [B, h, T, d], [B, h, 1 + L, d] twice, [B, 1 + L]
  };
  Rows rows(const at::Tensor& x, const at::Tensor& tokens, const at::Tensor& mask);
  at::Tensor attend(const Rows& rows);

  CrossAttentionOptions options_;
  at::Tensor null_, null_k_, null_v_;
  EqualizedLinear q_{nullptr}, k_{nullptr}, v_{nullptr}, out_{nullptr};
};
TORCH_MODULE(CrossAttention);

}  // namespace gigacat::nn
