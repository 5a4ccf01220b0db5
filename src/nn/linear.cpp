#include "gigacat/nn/linear.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

namespace gigacat::nn {
namespace {

constexpr int64_t kFewRows = 256, kLane = 16;  // below, or off which, oneDNN's kernels gain nothing

bool convolves(const at::Tensor& x, const at::Tensor& weight) {
  if (!x.is_cpu() || x.scalar_type() != at::kFloat || weight.scalar_type() != at::kFloat) return false;
  // With one thread LibTorch takes a loop of its own for 1 x 1 kernels.
  if (at::get_num_threads() == 1 || at::autocast::is_autocast_enabled(at::kCPU)) return false;
  return x.numel() / x.size(-1) >= kFewRows && x.size(-1) % kLane == 0 && weight.size(0) % kLane == 0;
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!convolves(x, weight)) return at::linear(x, weight, bias);
  // [1, in, 1, rows] and back, channels last: the same memory.
  const at::Tensor image = x.reshape({1, 1, -1, x.size(-1)}).permute({0, 3, 1, 2});
  const at::Tensor y = at::conv2d(image, weight.unsqueeze(2).unsqueeze(3), bias);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return y.permute({0, 2, 3, 1}).reshape(shape);
}

LinearImpl::LinearImpl(int64_t in, int64_t out, const Init& init, double gain) {
  weight = register_parameter("weight", init.xavier_uniform("weight", {out, in}, gain));
  bias = register_parameter("bias", at::zeros({out}));
}

at::Tensor LinearImpl::forward(const at::Tensor& x) { return linear(x, weight, bias); }

EqualLinearImpl::EqualLinearImpl(int64_t in, int64_t out, double lr_multiplier, const Init& init)
    : lr_multiplier_(lr_multiplier) {
  weight = register_parameter("weight", init.xavier_uniform("weight", {out, in}, 1 / lr_multiplier));
  bias = register_parameter("bias", at::zeros({out}));
}

at::Tensor EqualLinearImpl::forward(const at::Tensor& x) {
  return linear(x, weight * lr_multiplier_, bias * lr_multiplier_);
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
