// Equalised learning rate: weights are stored with unit variance and scaled in use, so that Adam's steps mean the same
// in every layer. Source: StyleGAN2 (arXiv 1912.04958); used throughout by GigaGAN (arXiv 2303.05511).
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "gigacat/nn/init.h"

namespace gigacat::nn {

// Leaky ReLU of slope 0.2 times sqrt(2), which keeps the second moment of a centred input. Any shape.
at::Tensor leaky_relu(const at::Tensor& x);

// leaky_relu(x + bias), x [B, C, H, W], bias [C]. One pass on the CPU, and only the result is kept for its gradient; x
// may be overwritten, so nothing else may need it.
at::Tensor leaky_relu_of_biased(at::Tensor x, const at::Tensor& bias);

struct EqualizedOptions {
  double lr_multiplier = 1;  // stored weights are N(0, 1) / lr_multiplier
  double bias = 0;           // initial value of the bias, in use
  bool with_bias = true;
};

// y = x (weight * lr_multiplier / sqrt(in))^T + bias * lr_multiplier. x [..., in] -> [..., out]. Parameters weight
// [out, in], bias [out].
class EqualizedLinearImpl : public torch::nn::Module {
 public:
  EqualizedLinearImpl(int64_t in, int64_t out, const Init& init, const EqualizedOptions& options = {});
  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight, bias;

 private:
  double gain_, lr_multiplier_;
};
TORCH_MODULE(EqualizedLinear);

// Convolution with zero padding kernel / 2: weight / sqrt(in * kernel^2). x [B, in, H, W] -> [B, out, H, W]; stride 2
// filters with [1, 3, 3, 1] first (see resample.h) and halves: even H and W -> [B, out, H / 2, W / 2]. Parameters
// weight [out, in, kernel, kernel], bias [out].
class EqualizedConvImpl : public torch::nn::Module {
 public:
  EqualizedConvImpl(int64_t in, int64_t out, int64_t kernel, const Init& init, int64_t down = 1, bool with_bias = true);
  at::Tensor forward(const at::Tensor& x);
  // leaky_relu(forward(x)) of a layer with bias.
  at::Tensor activated(const at::Tensor& x);

  at::Tensor weight, bias;

 private:
  at::Tensor convolve(const at::Tensor& x, const at::Tensor& with_bias);
  int64_t down_;
  double gain_;
};
TORCH_MODULE(EqualizedConv);

}  // namespace gigacat::nn
