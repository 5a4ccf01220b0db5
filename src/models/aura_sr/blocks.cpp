#include "models/aura_sr/blocks.h"

#include <ATen/ATen.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>

#include "gigacat/core/text.h"

namespace gigacat::models::aura_sr {
namespace {

constexpr double kDemodulationEps = 1e-8;  // least sum of squares
constexpr double kNormEps = 1e-12;         // least length

// x / |x| * g * sqrt(C) over the channels of tokens x [B, T, C].
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& g) {
  const at::Tensor length = x.norm(2, -1, /*keepdim=*/true).clamp_min(kNormEps);
  return x / length * (g.flatten() * std::sqrt(static_cast<double>(x.size(-1))));
}

// Tells the system that a tensor's pages need not stay in memory: those of a mapped file are dropped and read again
// where they are wanted. Nothing changes in the tensor, wherever it lies.
void let_go(const at::Tensor& tensor) {
#ifdef MADV_PAGEOUT
  if (!tensor.is_cpu() || !tensor.is_contiguous()) return;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto data = reinterpret_cast<uintptr_t>(tensor.const_data_ptr());
  const uintptr_t first = (data + page - 1) / page * page, last = (data + tensor.nbytes()) / page * page;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_PAGEOUT);  // a hint: may be refused
#endif
}

}  // namespace

BankConvImpl::BankConvImpl(int64_t in, int64_t out, int64_t kernels) {
  weights_ = add_parameter(*this, "weights", {kernels, out, in, 3, 3});
}

at::Tensor BankConvImpl::kernel(const at::Tensor& modulation, const at::Tensor& selection) const {
  const at::Tensor mixture = selection.softmax(-1).to(weights_.scalar_type());  // [B, N]
  const at::Tensor mixed = mixture.matmul(weights_.flatten(1)).unflatten(1, weights_.sizes().slice(1));
  const at::Tensor modulated = mixed * (modulation + 1).view({modulation.size(0), 1, -1, 1, 1});
  return modulated * modulated.square().sum({2, 3, 4}, /*keepdim=*/true).clamp_min(kDemodulationEps).rsqrt();
}

at::Tensor BankConvImpl::forward(const at::Tensor& x, const at::Tensor& modulation, const at::Tensor& selection) const {
  const at::Tensor kernels = kernel(modulation, selection);             // [B, O, I, 3, 3]
  const at::Tensor joined = x.contiguous().flatten(0, 1).unsqueeze(0);  // [1, B * I, H, W]
  const at::Tensor y = at::conv2d(joined, kernels.flatten(0, 1), {}, 1, 1, 1, /*groups=*/x.size(0));
  return y.view({x.size(0), kernels.size(1), x.size(2), x.size(3)});
}

void BankConvImpl::fold(const at::Tensor& modulation, const at::Tensor& selection) {
  folded_ = Conv2d(Conv2dShape{.in = weights_.size(2), .out = weights_.size(1), .bias = false});
  folded_->weight = kernel(modulation, selection)[0].contiguous();
  let_go(weights_);  // the bank is four times the kernel
}

at::Tensor BankConvImpl::apply(const at::Tensor& x) { return folded_(x); }

ModulatedBlockImpl::ModulatedBlockImpl(int64_t in, int64_t out, int64_t kernels) {
  conv1_ = place(*this, "block1.proj", BankConv(in, out, kernels));
  conv2_ = place(*this, "block2.proj", BankConv(out, out, kernels));
  if (in != out) res_conv_ = register_module("res_conv", Conv2d(Conv2dShape{in, out, {1, 1}, {0, 0}}));
}

std::vector<int64_t> ModulatedBlockImpl::style_sizes() const {
  return {conv1_->in(), conv1_->kernels(), conv2_->in(), conv2_->kernels()};
}

at::Tensor ModulatedBlockImpl::joined(const at::Tensor& branch, const at::Tensor& x) {
  return res_conv_ ? res_conv_(x, Activation::none, branch) : branch + x;
}

at::Tensor ModulatedBlockImpl::forward(const at::Tensor& x, const std::vector<at::Tensor>& style) {
  const at::Tensor y = at::silu(conv1_(x, style[0], style[1]));
  return joined(at::silu(conv2_(y, style[2], style[3])), x);
}

void ModulatedBlockImpl::fold(const std::vector<at::Tensor>& style) {
  conv1_->fold(style[0], style[1]);
  conv2_->fold(style[2], style[3]);
}

at::Tensor ModulatedBlockImpl::apply(const at::Tensor& x) {
  at::Tensor y = conv1_->apply(x);
  at::silu_(y);
  y = conv2_->apply(y);
  at::silu_(y);
  return joined(y, x);
}

AttentionStackImpl::AttentionStackImpl(int64_t width, int64_t heads, int64_t head_dim, int64_t depth)
    : heads_(heads), head_dim_(head_dim), layers_(static_cast<size_t>(depth)) {
  const int64_t inner = heads * head_dim;
  for (size_t i = 0; i < layers_.size(); ++i) {
    std::string name;
    const auto parameter = [&](const std::string& path, at::IntArrayRef shape) {
      torch::nn::Module& group = group_of(*this, cat("layers.", i, ".", path), name);
      return add_parameter(group, name, shape);
    };
    layers_[i].norm = parameter("0.norm.g", {1, width, 1, 1});
    parameter("0.attend.scale", {1});  // stands in the released files; the reference never reads it
    layers_[i].qkv = parameter("0.to_qkv.weight", {3 * inner, width, 1, 1});
    layers_[i].out = parameter("0.to_out.weight", {width, inner, 1, 1});
    layers_[i].out_bias = parameter("0.to_out.bias", {width});
    layers_[i].mlp_norm = parameter("1.0.g", {1, width, 1, 1});
    layers_[i].up = parameter("1.1.weight", {4 * width, width, 1, 1});
    layers_[i].up_bias = parameter("1.1.bias", {4 * width});
    layers_[i].down = parameter("1.3.weight", {width, 4 * width, 1, 1});
    layers_[i].down_bias = parameter("1.3.bias", {width});
  }
}

at::Tensor AttentionStackImpl::attention(const at::Tensor& x, const Layer& layer) const {
  const at::Tensor qkv = at::linear(rms_norm(x, layer.norm), layer.qkv.flatten(1));            // [B, T, 3 * inner]
  const at::Tensor heads = qkv.unflatten(2, {3, heads_, head_dim_}).permute({2, 0, 3, 1, 4});  // [3, B, h, T, d]
  const at::Tensor y = at::scaled_dot_product_attention(heads[0], heads[1], heads[2]);         // [B, h, T, d]
  return at::linear(y.transpose(1, 2).flatten(2), layer.out.flatten(1), layer.out_bias);       // [B, T, C]
}

at::Tensor AttentionStackImpl::forward(const at::Tensor& x) {
  at::Tensor tokens = x.permute({0, 2, 3, 1}).flatten(1, 2);  // [B, T, C]
  for (const Layer& layer : layers_) {
    tokens = tokens + attention(tokens, layer);
    const at::Tensor wide = at::linear(rms_norm(tokens, layer.mlp_norm), layer.up.flatten(1), layer.up_bias);
    tokens = tokens + at::linear(at::gelu(wide), layer.down.flatten(1), layer.down_bias);
  }
  return tokens.unflatten(1, {x.size(2), x.size(3)}).permute({0, 3, 1, 2});
}

}  // namespace gigacat::models::aura_sr
