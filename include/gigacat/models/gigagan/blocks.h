// What GigaGAN's networks are made of. Source: GigaGAN (arXiv 2303.05511) section 3.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>

#include <utility>

#include "gigacat/models/gigagan/text.h"
#include "gigacat/nn/cross_attention.h"
#include "gigacat/nn/l2_attention.h"
#include "gigacat/nn/modulated_conv.h"
#include "gigacat/nn/transformer.h"

// Letters: B batch, C channels, H x W features, T = H W tokens, V style width, D text width.
namespace gigacat::models::gigagan {

// Features [B, C, H, W] as tokens [B, T, C], row-major, and back.
at::Tensor to_tokens(const at::Tensor& features);
at::Tensor to_features(const at::Tensor& tokens, int64_t height, int64_t width);

// Of a unit of self-attention; feed_forward is relative to the channels.
struct AttentionSizes {
  int64_t channels, heads, feed_forward;
  double gain;
  bool tied;
};

// Norm, distance attention, feed-forward: x += gain * attend(norm(x)); x += gain * ff(norm(x)). The first norm is
// scaled by w where w_dim is not 0, by a weight otherwise.
class SelfAttentionImpl : public torch::nn::Module {
 public:
  SelfAttentionImpl(const AttentionSizes& sizes, int64_t w_dim, const nn::Init& init);
  // x [B, T, C], w [B, V] or undefined -> [B, T, C].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& w);

 private:
  AttentionSizes sizes_;
  nn::EqualizedLinear modulation_{nullptr}, up_{nullptr}, down_{nullptr};
  nn::RmsNorm norm_{nullptr}, ff_norm_{nullptr};
  nn::L2SelfAttention attend_{nullptr};
};
TORCH_MODULE(SelfAttention);

// x += gain * cross_attention(norm(x), t_local). x [B, T, C].
class TextAttentionImpl : public torch::nn::Module {
 public:
  TextAttentionImpl(int64_t channels, int64_t text_width, double gain, const nn::CrossAttentionOptions& options,
                    const nn::Init& init);
  at::Tensor forward(const at::Tensor& x, const Text& text);

 private:
  double gain_;
  nn::RmsNorm norm_{nullptr};
  nn::CrossAttention attend_{nullptr};
};
TORCH_MODULE(TextAttention);

// What a block does to the size: nothing, twice as large, half as large.
enum class Resize { none, up, down };

// Residual block of two adaptive convolutions: skip(f) + gain * conv1(conv0(f)), each with leaky ReLU; the first
// resizes.
class SynthesisBlockImpl : public torch::nn::Module {
 public:
  SynthesisBlockImpl(int64_t in, int64_t out, Resize resize, int64_t bank, int64_t w_dim, double gain,
                     const nn::Init& init);
  // f [B, C, H, W], w [B, V] -> [B, C', H', W'].
  at::Tensor forward(const at::Tensor& f, const at::Tensor& w);

 private:
  Resize resize_;
  double gain_;
  nn::AdaptiveConv conv0_{nullptr}, conv1_{nullptr};
  nn::EqualizedConv skip_{nullptr};
};
TORCH_MODULE(SynthesisBlock);

// Residual block of two equalised convolutions, the second halving the size where `down`: [B, C, H, W] -> [B, C', H',
// W'].
class TrunkBlockImpl : public torch::nn::Module {
 public:
  TrunkBlockImpl(int64_t in, int64_t out, bool down, double gain, const nn::Init& init);
  at::Tensor forward(const at::Tensor& f);

 private:
  bool down_;
  double gain_;
  nn::EqualizedConv conv0_{nullptr}, conv1_{nullptr}, skip_{nullptr};
};
TORCH_MODULE(TrunkBlock);

// One prediction from features: psi(f, t) + a plain 1 x 1, as logits. psi: modulated 1 x 1 layers with leaky ReLU
// between, the last to one channel without demodulation. Children psi.0 ... and uncond. f [B, C, H, W], t [B, D] -> [B,
// 1, H, W].
class PredictionHeadImpl : public torch::nn::Module {
 public:
  PredictionHeadImpl(int64_t channels, int64_t text_width, int64_t layers, const nn::Init& init);
  at::Tensor forward(const at::Tensor& f, const at::Tensor& t);

  torch::nn::ModuleList psi;
  nn::EqualizedConv uncond{nullptr};
};
TORCH_MODULE(PredictionHead);

// Prediction from one layer of a frozen image encoder: two 3 x 3 convolutions with leaky ReLU, then a modulated and a
// plain 1 x 1. Children conv0, conv1, cond, uncond. features [B, C, h, w], t [B, D] -> [B, 1, h, w].
class VisionHeadImpl : public torch::nn::Module {
 public:
  VisionHeadImpl(int64_t channels, int64_t hidden, int64_t text_width, const nn::Init& init);
  at::Tensor forward(const at::Tensor& features, const at::Tensor& t);

 private:
  nn::EqualizedConv conv0_{nullptr}, conv1_{nullptr}, uncond_{nullptr};
  nn::ModulatedLinear cond_{nullptr};
};
TORCH_MODULE(VisionHead);

// FLOPs (2 per multiply-add) of a unit of self-attention and of cross-attention over T tokens.
double self_attention_flops(const AttentionSizes& sizes, int64_t tokens);
double text_attention_flops(int64_t channels, int64_t tokens, int64_t length, int64_t text_width);

}  // namespace gigacat::models::gigagan
