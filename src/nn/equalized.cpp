#include "gigacat/nn/equalized.h"

#include <ATen/Functions.h>

#include <cmath>
#include <numbers>

#include "gigacat/nn/resample.h"
#include "nn/winograd.h"

namespace gigacat::nn {

at::Tensor leaky_relu(const at::Tensor& x) { return at::leaky_relu(x, 0.2) * std::numbers::sqrt2; }

EqualizedLinearImpl::EqualizedLinearImpl(int64_t in, int64_t out, const Init& init, const EqualizedOptions& options)
    : gain_(options.lr_multiplier / std::sqrt(static_cast<double>(in))), lr_multiplier_(options.lr_multiplier) {
  weight = register_parameter("weight", init.normal("weight", {out, in}, 1 / options.lr_multiplier));
  if (options.with_bias)
    bias = register_parameter("bias", at::full({out}, options.bias / options.lr_multiplier, at::kFloat));
}

at::Tensor EqualizedLinearImpl::forward(const at::Tensor& x) {
  if (!bias.defined()) return at::linear(x, weight * gain_);
  return at::linear(x, weight * gain_, lr_multiplier_ == 1 ? bias : bias * lr_multiplier_);
}

EqualizedConvImpl::EqualizedConvImpl(int64_t in, int64_t out, int64_t kernel, const Init& init, int64_t down,
                                     bool with_bias)
    : down_(down), gain_(1 / std::sqrt(static_cast<double>(in * kernel * kernel))) {
  weight = register_parameter("weight", init.normal("weight", {out, in, kernel, kernel}, 1));
  if (with_bias) bias = register_parameter("bias", at::zeros({out}));
}

at::Tensor EqualizedConvImpl::forward(const at::Tensor& x) {
  const int64_t kernel = weight.size(2);
  if (const int64_t tile = down_ == 1 && kernel == 3 ? winograd_tile(x, weight.size(0), /*per_sample=*/false) : 0) {
    const at::Tensor y = winograd_conv(x, (weight * gain_).unsqueeze(0), {}, {}, /*demodulate=*/false, tile);
    return bias.defined() ? y + bias.view({1, -1, 1, 1}) : y;
  }
  if (down_ == 1) return at::conv2d(x, weight * gain_, bias, 1, kernel / 2);
  if (kernel == 1) return at::conv2d(downsample2d(x), weight * gain_, bias);
  return at::conv2d(filter_for_stride(x), weight * gain_, bias, /*stride=*/2);
}

}  // namespace gigacat::nn
