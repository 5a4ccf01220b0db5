#include "gigacat/nn/transformer.h"

#include <ATen/Functions.h>

#include "gigacat/core/error.h"
#include "gigacat/nn/fused.h"

namespace gigacat::nn {
AttentionImpl::AttentionImpl(int64_t width, int64_t heads, bool qk_norm, const Init& init) : heads_(heads) {
  GIGACAT_CHECK(width % heads == 0 && width / heads % 4 == 0, "width ", width, ", heads ", heads);
  qkv = register_module("qkv", Linear(width, 3 * width, init / "qkv"));
  if (qk_norm) {
    auto q_norm = register_module("q_norm", std::make_shared<torch::nn::Module>());
    auto k_norm = register_module("k_norm", std::make_shared<torch::nn::Module>());
    q_weight = q_norm->register_parameter("weight", at::ones({width / heads}));
    k_weight = k_norm->register_parameter("weight", at::ones({width / heads}));
  }
  proj = register_module("proj", Linear(width, width, init / "proj"));
}

at::Tensor AttentionImpl::forward(const at::Tensor& x, const Rotary& rotary, const std::vector<int64_t>& parts) {
  const at::Tensor mixed = qkv(x).unflatten(-1, {3, heads_, -1});  // [B, T, 3, h, d]
  return proj(self_attention(mixed, q_weight, k_weight, kQkNormEps, rotary, parts));
}

SwiGluImpl::SwiGluImpl(int64_t width, const Init& init) {
  const int64_t hidden = hidden_width(width);
  w12_ = register_module("w12", Linear(width, 2 * hidden, init / "w12"));
  w3_ = register_module("w3", Linear(hidden, width, init / "w3"));
}

at::Tensor SwiGluImpl::forward(const at::Tensor& x) { return w3_(swiglu(w12_(x))); }

int64_t SwiGluImpl::hidden_width(int64_t width) {
  return static_cast<int64_t>(2.0 / 3.0 * static_cast<double>(4 * width));
}

RmsNormImpl::RmsNormImpl(int64_t width, double eps) : eps_(eps) {
  weight = register_parameter("weight", at::ones({width}));
}

at::Tensor RmsNormImpl::forward(const at::Tensor& x) { return rms_norm(x, weight, eps_); }

PatchEmbedImpl::PatchEmbedImpl(int64_t channels, int64_t width, int64_t patch, const Init& init) : patch_(patch) {
  auto proj = register_module("proj", std::make_shared<torch::nn::Module>());
  weight_ =
      proj->register_parameter("weight", (init / "proj").xavier_uniform("weight", {width, channels, patch, patch}));
  bias_ = proj->register_parameter("bias", at::zeros({width}));
}

at::Tensor PatchEmbedImpl::forward(const at::Tensor& x) {
  const at::Tensor cells = x.unflatten(3, {-1, patch_}).unflatten(2, {-1, patch_});      // [B, C, gh, p, gw, p]
  const at::Tensor tokens = cells.permute({0, 2, 4, 1, 3, 5}).flatten(3).flatten(1, 2);  // [B, T, C * p * p]
  return linear(tokens, weight_.flatten(1), bias_);
}

at::Tensor unpatchify(const at::Tensor& tokens, int64_t rows, int64_t columns, int64_t patch) {
  const at::Tensor cells = tokens.unflatten(2, {patch, patch, -1}).unflatten(1, {rows, columns});
  return cells.permute({0, 5, 1, 3, 2, 4}).reshape({tokens.size(0), -1, rows * patch, columns * patch});
}

double block_flops(int64_t width, int64_t tokens) {
  const double d = static_cast<double>(width), t = static_cast<double>(tokens);
  const double f = static_cast<double>(SwiGluImpl::hidden_width(width));
  return 2 * t * (4 * d * d + 3 * d * f) + 4 * t * t * d;
}

double block_activation_bytes(int64_t width, int64_t tokens) {
  const double d = static_cast<double>(width), f = static_cast<double>(SwiGluImpl::hidden_width(width));
  // Its input, two norms' outputs, qkv, attention's output, two branches, the sum between, w12's output, w3's input.
  return 4 * static_cast<double>(tokens) * (10 * d + 3 * f);
}

}  // namespace gigacat::nn
