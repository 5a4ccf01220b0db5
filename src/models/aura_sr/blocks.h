// The parts of AuraSR. Letters: B tiles, C channels, H x W pixels, I and O channels in and out, N kernels of a bank.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "gigacat/pretrained/layers.h"

namespace gigacat::models::aura_sr {

using pretrained::Activation;
using pretrained::add_parameter;
using pretrained::attend;
using pretrained::Conv2d;
using pretrained::Conv2dImpl;
using pretrained::Conv2dShape;
using pretrained::group_of;
using pretrained::place;

// A 3x3 convolution whose kernel is a style's mixture of a bank, modulated and demodulated. Parameter weights
// [N, O, I, 3, 3].
class BankConvImpl : public torch::nn::Module {
 public:
  BankConvImpl(int64_t in, int64_t out, int64_t kernels);
  // modulation [B, I], selection [B, N] -> kernels [B, O, I, 3, 3].
  at::Tensor kernel(const at::Tensor& modulation, const at::Tensor& selection) const;
  // x [B, I, H, W] -> [B, O, H, W], each sample with its own kernel.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& modulation, const at::Tensor& selection) const;
  // From here on apply() uses the kernel of this style, modulation [1, I], selection [1, N].
  void fold(const at::Tensor& modulation, const at::Tensor& selection);
  at::Tensor apply(const at::Tensor& x);

  int64_t in() const { return weights_.size(2); }
  int64_t kernels() const { return weights_.size(0); }

 private:
  at::Tensor weights_;
  Conv2d folded_{nullptr};
};
TORCH_MODULE(BankConv);

// silu(conv2(silu(conv1(x)))) + shortcut(x).
class ModulatedBlockImpl : public torch::nn::Module {
 public:
  ModulatedBlockImpl(int64_t in, int64_t out, int64_t kernels);
  // Values of a style for both convolutions: modulation and selection of each.
  std::vector<int64_t> style_sizes() const;
  // style: four tensors [B, ...] of style_sizes().
  at::Tensor forward(const at::Tensor& x, const std::vector<at::Tensor>& style);
  void fold(const std::vector<at::Tensor>& style);
  at::Tensor apply(const at::Tensor& x);

 private:
  at::Tensor joined(const at::Tensor& branch, const at::Tensor& x);
  BankConv conv1_{nullptr}, conv2_{nullptr};
  Conv2d res_conv_{nullptr};
};
TORCH_MODULE(ModulatedBlock);

// `depth` times x + attention(x), x + feed-forward(x), over the pixels of x [B, C, H, W].
class AttentionStackImpl : public torch::nn::Module {
 public:
  AttentionStackImpl(int64_t width, int64_t heads, int64_t head_dim, int64_t depth);
  at::Tensor forward(const at::Tensor& x);

 private:
  struct Layer {
    at::Tensor norm, qkv, out, out_bias, mlp_norm, up, up_bias, down, down_bias;
  };
  at::Tensor attention(const at::Tensor& x, const Layer& layer) const;
  int64_t heads_, head_dim_;
  std::vector<Layer> layers_;
};
TORCH_MODULE(AttentionStack);

}  // namespace gigacat::models::aura_sr
