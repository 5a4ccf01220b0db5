// Linear layers.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "gigacat/nn/init.h"

namespace gigacat::nn {

// y = x W^T + b: x [..., in], weight [out, in], bias [out] or undefined -> [..., out]. As at::linear within rounding;
// many float32 rows on a CPU go through oneDNN's 1 x 1 convolution, whose kernels use AVX-512 on every maker's
// processors.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// y = x W^T + b, x [..., in] -> [..., out]. Parameters weight [out, in] (xavier uniform), bias [out] (0).
class LinearImpl : public torch::nn::Module {
 public:
  LinearImpl(int64_t in, int64_t out, const Init& init, double gain = 1);
  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight, bias;
};
TORCH_MODULE(Linear);

// Equalised learning rate: the stored weight is 1/lr_multiplier times larger and scaled back in use, so that Adam's
// steps act lr_multiplier times as strongly. x [..., in] -> [..., out]. Source: StyleGAN2; GAT's EqualLinear.
class EqualLinearImpl : public torch::nn::Module {
 public:
  EqualLinearImpl(int64_t in, int64_t out, double lr_multiplier, const Init& init);
  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight, bias;

 private:
  double lr_multiplier_;
};
TORCH_MODULE(EqualLinear);

// The two-layer mapping of GAT: EqualLinear, SiLU, EqualLinear; children named "0" and "2" as in the official code.
// x [..., in] -> [..., out].
class MappingImpl : public torch::nn::Module {
 public:
  MappingImpl(int64_t in, int64_t out, const Init& init);
  at::Tensor forward(const at::Tensor& x);

 private:
  EqualLinear first_{nullptr}, second_{nullptr};
};
TORCH_MODULE(Mapping);

// Rows of a table: labels [B] int64 -> [B, width]. Parameter embedding_table.weight [count, width], N(0, 0.02^2).
class LabelTableImpl : public torch::nn::Module {
 public:
  LabelTableImpl(int64_t count, int64_t width, const Init& init);
  at::Tensor forward(const at::Tensor& labels);

  at::Tensor weight;
};
TORCH_MODULE(LabelTable);

// v scaled to unit second moment along the last dimension: v * rsqrt(mean(v^2) + 1e-8). Any shape.
at::Tensor normalize_second_moment(const at::Tensor& v);

}  // namespace gigacat::nn
