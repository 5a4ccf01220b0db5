// The parts that GAT's transformer blocks are made of, named as in the official code.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <vector>

#include "gigacat/nn/linear.h"
#include "gigacat/nn/position.h"

namespace gigacat::nn {

// eps of the norm on queries and keys: float32's machine epsilon, what torch.nn.RMSNorm takes when it is given none.
inline constexpr double kQkNormEps = 1.1920928955078125e-07;

// Multi-head self-attention with optional qk-norm and rotary embedding.
// Parameters qkv.*, proj.*, and with qk_norm q_norm.weight, k_norm.weight over the head.
class AttentionImpl : public torch::nn::Module {
 public:
  // Errors: InternalError when width is not divisible by heads or the head width not by 4.
  AttentionImpl(int64_t width, int64_t heads, bool qk_norm, const Init& init);
  // x [B, T, D] -> [B, T, D]. `parts`: lengths of consecutive runs of tokens that see only themselves; empty: one run.
  at::Tensor forward(const at::Tensor& x, const Rotary& rotary, const std::vector<int64_t>& parts = {});

  int64_t heads() const { return heads_; }
  Linear qkv{nullptr}, proj{nullptr};
  at::Tensor q_weight, k_weight;

 private:
  int64_t heads_;
};
TORCH_MODULE(Attention);

// SwiGLU feed-forward: w3(silu(a) * b), [a, b] = w12(x); hidden width int(2/3 * 4 * D). x [..., D] -> [..., D].
class SwiGluImpl : public torch::nn::Module {
 public:
  SwiGluImpl(int64_t width, const Init& init);
  at::Tensor forward(const at::Tensor& x);
  // int(2/3 * 4 * width) in double arithmetic, truncated.
  static int64_t hidden_width(int64_t width);

 private:
  Linear w12_{nullptr}, w3_{nullptr};
};
TORCH_MODULE(SwiGlu);

// RMS norm over the last dimension with a weight (initially 1). x [..., D].
class RmsNormImpl : public torch::nn::Module {
 public:
  RmsNormImpl(int64_t width, double eps);
  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight;

 private:
  double eps_;
};
TORCH_MODULE(RmsNorm);

// Non-overlapping patches: x [B, C, H, W] -> tokens [B, (H/p)(W/p), D], row-major. Parameters proj.weight [D, C, p, p],
// proj.bias.
class PatchEmbedImpl : public torch::nn::Module {
 public:
  PatchEmbedImpl(int64_t channels, int64_t width, int64_t patch, const Init& init);
  at::Tensor forward(const at::Tensor& x);

 private:
  int64_t patch_;
  at::Tensor weight_, bias_;
};
TORCH_MODULE(PatchEmbed);

// Tokens [B, rows * columns, p * p * C] (p_row, p_column, C within a token) -> [B, C, rows * p, columns * p].
at::Tensor unpatchify(const at::Tensor& tokens, int64_t rows, int64_t columns, int64_t patch);

// FLOPs of `tokens` tokens of a width through one block of attention and SwiGLU (2 per multiply-add; norms and gates
// left out), and the float32 bytes that its backward pass keeps.
double block_flops(int64_t width, int64_t tokens);
double block_activation_bytes(int64_t width, int64_t tokens);

}  // namespace gigacat::nn
