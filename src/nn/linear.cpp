#include "gigacat/nn/linear.h"

#include <ATen/Functions.h>

namespace gigacat::nn {

LinearImpl::LinearImpl(int64_t in, int64_t out, const Init& init, double gain) {
  weight = register_parameter("weight", init.xavier_uniform("weight", {out, in}, gain));
  bias = register_parameter("bias", at::zeros({out}));
}

at::Tensor LinearImpl::forward(const at::Tensor& x) { return at::linear(x, weight, bias); }

EqualLinearImpl::EqualLinearImpl(int64_t in, int64_t out, double lr_multiplier, const Init& init)
    : lr_multiplier_(lr_multiplier) {
  weight = register_parameter("weight", init.xavier_uniform("weight", {out, in}, 1 / lr_multiplier));
  bias = register_parameter("bias", at::zeros({out}));
}

at::Tensor EqualLinearImpl::forward(const at::Tensor& x) {
  return at::linear(x, weight * lr_multiplier_, bias * lr_multiplier_);
}

MappingImpl::MappingImpl(int64_t in, int64_t out, const Init& init) {
  constexpr double kLrMultiplier = 0.01;  // GAT's mapping learns a hundred times slower than the blocks
  first_ = register_module("0", EqualLinear(in, out, kLrMultiplier, init / "0"));
  second_ = register_module("2", EqualLinear(out, out, kLrMultiplier, init / "2"));
}

at::Tensor MappingImpl::forward(const at::Tensor& x) { return second_(at::silu(first_(x))); }

LabelTableImpl::LabelTableImpl(int64_t count, int64_t width, const Init& init) {
  auto table = register_module("embedding_table", std::make_shared<torch::nn::Module>());
  weight = table->register_parameter("weight", (init / "embedding_table").normal("weight", {count, width}, 0.02));
}

at::Tensor LabelTableImpl::forward(const at::Tensor& labels) { return at::embedding(weight, labels); }

at::Tensor normalize_second_moment(const at::Tensor& v) {
  return v * (v.square().mean(-1, /*keepdim=*/true) + 1e-8).rsqrt();
}

}  // namespace gigacat::nn
