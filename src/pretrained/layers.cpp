#include "gigacat/pretrained/layers.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>

#include <optional>
#include <utility>

namespace gigacat::pretrained {
namespace {

// Operators of the CPU's convolution library that are registered by name only; absent in builds without it.
std::optional<c10::OperatorHandle> find_operator(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchema({name, overload});
}

template <class... Args>
at::Tensor call(const c10::OperatorHandle& op, Args&&... args) {
  torch::jit::Stack stack;
  (stack.emplace_back(std::forward<Args>(args)), ...);
  op.callBoxed(stack);
  return stack.front().toTensor();
}

c10::List<int64_t> twice(int64_t a, int64_t b) { return {a, b}; }

at::Tensor activated(at::Tensor y, Activation activation) { return activation == Activation::relu ? at::relu(y) : y; }

}  // namespace

at::Tensor add_parameter(torch::nn::Module& owner, const std::string& name, at::IntArrayRef shape) {
  return owner.register_parameter(name, at::empty(shape), /*requires_grad=*/false);
}

torch::nn::Module& group_of(torch::nn::Module& owner, const std::string& path, std::string& name) {
  const size_t dot = path.find('.');
  if (dot == std::string::npos) {
    name = path;
    return owner;
  }
  const std::string first = path.substr(0, dot);
  for (const auto& child : owner.named_children())
    if (child.key() == first) return group_of(*child.value(), path.substr(dot + 1), name);
  return group_of(*owner.register_module(first, std::make_shared<torch::nn::Module>()), path.substr(dot + 1), name);
}

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t heads, bool causal) {
  const auto split = [heads](const at::Tensor& x) { return x.unflatten(-1, {heads, -1}).transpose(1, 2); };
  const at::Tensor y =
      at::scaled_dot_product_attention(split(q), split(k), split(v), {}, 0, causal);  // [B, h, N, D / h]
  return y.transpose(1, 2).flatten(2);
}

Conv2dImpl::Conv2dImpl(const Conv2dShape& shape) : shape_(shape) {
  weight = add_parameter(*this, "weight", {shape.out, shape.in, shape.kernel[0], shape.kernel[1]});
  if (shape.bias) bias = add_parameter(*this, "bias", {shape.out});
}

at::Tensor Conv2dImpl::forward(const at::Tensor& x, Activation activation, const at::Tensor& sum) {
  const bool plain = !x.is_cpu() || x.scalar_type() != at::kFloat || weight.scalar_type() != at::kFloat ||
                     (at::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad()));
  if (!plain) {
    const at::Tensor y = fused(x, activation, sum);
    if (y.defined()) return y;
  }
  at::Tensor y = at::conv2d(x, weight, bias, shape_.stride, shape_.padding);
  if (sum.defined()) y = y + sum;
  return activated(y, activation);
}

// Undefined where the library is not there.
at::Tensor Conv2dImpl::fused(const at::Tensor& x, Activation activation, const at::Tensor& sum) {
  static const auto pack = find_operator("mkldnn::_reorder_convolution_weight", "");
  static const auto single = find_operator("mkldnn::_convolution_pointwise", "");
  static const auto binary = find_operator("mkldnn::_convolution_pointwise", "binary");
  if (!pack || !single || !binary || !at::globalContext().userEnabledMkldnn()) return {};
  const auto padding = twice(shape_.padding[0], shape_.padding[1]), stride = twice(shape_.stride, shape_.stride),
             dilation = twice(1, 1);
  const c10::IValue no_bias, offset = bias.defined() ? c10::IValue(bias) : no_bias;
  const int64_t groups = 1;
  const c10::List<std::optional<at::Scalar>> scalars;
  if (packed_of_ != weight.const_data_ptr()) {
    packed_ = call(*pack, weight, padding, stride, dilation, groups, c10::List<int64_t>(x.sizes().vec()));
    packed_of_ = weight.const_data_ptr();
  }
  const bool relu = activation == Activation::relu;
  const at::Tensor last = x.contiguous(at::MemoryFormat::ChannelsLast);
  if (!sum.defined())
    return call(*single, last, packed_, offset, padding, stride, dilation, groups, relu ? "relu" : "none", scalars, "");
  const c10::IValue unary = relu ? c10::IValue("relu") : c10::IValue();
  return call(*binary, last, sum.contiguous(at::MemoryFormat::ChannelsLast), packed_, offset, padding, stride, dilation,
              groups, "add", c10::IValue(), unary, scalars, c10::IValue());
}

LinearImpl::LinearImpl(int64_t in, int64_t out, bool with_bias) {
  weight = add_parameter(*this, "weight", {out, in});
  if (with_bias) bias = add_parameter(*this, "bias", {out});
}

at::Tensor LinearImpl::forward(const at::Tensor& x) { return at::linear(x, weight, bias); }

LayerNormImpl::LayerNormImpl(int64_t width, double eps) : eps_(eps) {
  weight = add_parameter(*this, "weight", {width});
  bias = add_parameter(*this, "bias", {width});
}

at::Tensor LayerNormImpl::forward(const at::Tensor& x) { return at::layer_norm(x, weight.sizes(), weight, bias, eps_); }

GroupNormImpl::GroupNormImpl(int64_t groups, int64_t channels, double eps) : groups_(groups), eps_(eps) {
  weight = add_parameter(*this, "weight", {channels});
  bias = add_parameter(*this, "bias", {channels});
}

at::Tensor GroupNormImpl::forward(const at::Tensor& x) { return at::group_norm(x, groups_, weight, bias, eps_); }

}  // namespace gigacat::pretrained
