#include "gigacat/nn/equalized.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "gigacat/nn/fused.h"
#include "gigacat/nn/linear.h"
#include "gigacat/nn/resample.h"
#include "nn/cpu/fused_kernels.h"
#include "nn/cpu/winograd.h"

namespace gigacat::nn {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// body(plane, its floats): planes of one channel's bias, or with no bias pieces of all values.
template <class Body>
void for_planes(int64_t planes, int64_t size, const Body& body) {
  at::parallel_for(0, planes, std::max<int64_t>(1, 16384 / size), [&](int64_t first, int64_t last) {
    for (int64_t plane = first; plane < last; ++plane) body(plane, plane * size);
  });
}

// In place with a bias.
struct LeakyFunction : public torch::autograd::Function<LeakyFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const std::optional<at::Tensor>& bias) {
    const at::Tensor y = bias ? x : at::empty_like(x);
    const int64_t channels = bias ? bias->numel() : 1, planes = bias ? x.size(0) * channels : 1;
    const float* const from = x.const_data_ptr<float>();
    float* const to = y.data_ptr<float>();
    const at::Tensor shifts = bias ? bias->contiguous() : at::zeros({1});
    const float* const shift = shifts.const_data_ptr<float>();
    if (bias)
      for_planes(planes, x.numel() / planes, [&](int64_t plane, int64_t at) {
        fused_kernels().leaky(from + at, shift[plane % channels], x.numel() / planes, to + at);
      });
    else
      at::parallel_for(0, x.numel(), 16384, [&](int64_t first, int64_t last) {
        fused_kernels().leaky(from + first, 0, last - first, to + first);
      });
    if (bias) ctx->mark_dirty({x});
    ctx->save_for_backward({y});
    ctx->saved_data["channels"] = bias ? channels : int64_t{0};
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor y = ctx->get_saved_variables()[0], dy = grads[0].contiguous(), dx = at::empty_like(y);
    const int64_t channels = ctx->saved_data["channels"].toInt();
    const float *const from = dy.const_data_ptr<float>(), *const of = y.const_data_ptr<float>();
    float* const to = dx.data_ptr<float>();
    if (channels == 0) {
      at::parallel_for(0, y.numel(), 16384, [&](int64_t first, int64_t last) {
        fused_kernels().leaky_backward(from + first, of + first, last - first, to + first);
      });
      return {dx, at::Tensor()};
    }
    const int64_t size = y.numel() / (y.size(0) * channels);
    const at::Tensor sums = at::empty({y.size(0), channels}, y.options());
    float* const sum = sums.data_ptr<float>();
    for_planes(y.size(0) * channels, size, [&](int64_t plane, int64_t at) {
      sum[plane] = fused_kernels().leaky_backward(from + at, of + at, size, to + at);
    });
    return {dx, sums.sum(0)};
  }
};

bool one_pass(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous() && !TwiceDifferentiable::active();
}

}  // namespace

at::Tensor leaky_relu(const at::Tensor& x) {
  if (one_pass(x)) return LeakyFunction::apply(x, std::nullopt);
  return at::leaky_relu(x, 0.2) * std::numbers::sqrt2;
}

at::Tensor leaky_relu_of_biased(at::Tensor x, const at::Tensor& bias) {
  const bool own = !x.requires_grad() || x.grad_fn() != nullptr;  // a leaf is not ours to overwrite
  if (one_pass(x) && bias.scalar_type() == at::kFloat && own) return LeakyFunction::apply(x, std::optional(bias));
  return nn::leaky_relu(x + bias.view({1, -1, 1, 1}).to(x.scalar_type()));
}

EqualizedLinearImpl::EqualizedLinearImpl(int64_t in, int64_t out, const Init& init, const EqualizedOptions& options)
    : gain_(options.lr_multiplier / std::sqrt(static_cast<double>(in))), lr_multiplier_(options.lr_multiplier) {
  weight = register_parameter("weight", init.normal("weight", {out, in}, 1 / options.lr_multiplier));
  if (options.with_bias)
    bias = register_parameter("bias", at::full({out}, options.bias / options.lr_multiplier, at::kFloat));
}

at::Tensor EqualizedLinearImpl::forward(const at::Tensor& x) {
  const bool scaled = bias.defined() && lr_multiplier_ != 1;
  return linear(x, weight * gain_, scaled ? bias * lr_multiplier_ : bias);
}

EqualizedConvImpl::EqualizedConvImpl(int64_t in, int64_t out, int64_t kernel, const Init& init, int64_t down,
                                     bool with_bias)
    : down_(down), gain_(1 / std::sqrt(static_cast<double>(in * kernel * kernel))) {
  weight = register_parameter("weight", init.normal("weight", {out, in, kernel, kernel}, 1));
  if (with_bias) bias = register_parameter("bias", at::zeros({out}));
}

at::Tensor EqualizedConvImpl::convolve(const at::Tensor& x, const at::Tensor& with_bias) {
  const int64_t kernel = weight.size(2);
  const at::Tensor scaled = weight * gain_;
  if (const int64_t tile = down_ == 1 && kernel == 3 ? winograd_tile(x, weight.size(0), /*per_sample=*/false) : 0) {
    const at::Tensor y = winograd_conv(x, scaled.unsqueeze(0), {}, {}, /*demodulate=*/false, tile);
    return with_bias.defined() ? y + with_bias.view({1, -1, 1, 1}) : y;
  }
  if (down_ == 1) return at::conv2d(x, scaled, with_bias, 1, kernel / 2);
  if (kernel == 1) return at::conv2d(downsample2d(x), scaled, with_bias);
  return at::conv2d(filter_for_stride(x), scaled, with_bias, /*stride=*/2);
}

at::Tensor EqualizedConvImpl::forward(const at::Tensor& x) { return convolve(x, bias); }
at::Tensor EqualizedConvImpl::activated(const at::Tensor& x) { return leaky_relu_of_biased(convolve(x, {}), bias); }

}  // namespace gigacat::nn
