#include "gigacat/nn/modulated_conv.h"

#include <ATen/Functions.h>
#include <ATen/autocast_mode.h>

#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/nn/resample.h"
#include "nn/adaptive_conv.h"
#include "nn/cpu/winograd.h"

// Letters: B batch, I and O channels in and out, N kernels, k kernel size.
namespace gigacat::nn {
namespace {

void check(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection, const at::Tensor& style,
           const ModulatedOptions& options) {
  const int64_t kernel = bank.size(3);
  GIGACAT_CHECK(x.size(1) == bank.size(2) && style.size(0) == x.size(0) && style.size(1) == x.size(1), "x ", x.sizes(),
                ", bank ", bank.sizes(), ", style ", style.sizes());
  GIGACAT_CHECK(selection.defined() ? selection.size(1) == bank.size(0) : bank.size(0) == 1, "bank ", bank.sizes());
  GIGACAT_CHECK((kernel == 1 || kernel == 3) && (options.up == 1 || options.down == 1), "kernel ", kernel, ", up ",
                options.up, ", down ", options.down);
}

// 0 where the tiles of nn/winograd.h do not serve.
int64_t tiles_for(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection,
                  const ModulatedOptions& options) {
  if (bank.size(3) != 3 || options.up != 1 || options.down != 1 || bank.scalar_type() != at::kFloat) return 0;
  return winograd_tile(x, bank.size(1), selection.defined());
}

// Whether it is cheaper to modulate and demodulate the samples' kernels than the images before and behind them.
bool kernels_are_smaller(const at::Tensor& x, const at::Tensor& bank) {
  if (x.scalar_type() != bank.scalar_type() || at::autocast::is_autocast_enabled(x.device().type())) return false;
  return bank[0].numel() < 2 * (x.size(1) + bank.size(1)) * x.size(2) * x.size(3);
}

at::Tensor by_tiles(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection, const at::Tensor& style,
                    const ModulatedOptions& options, int64_t tile) {
  const at::Tensor scale = style.to(at::kFloat) * options.weight_gain;
  if (selection.defined()) return winograd_conv(x, bank, selection.to(at::kFloat), scale, options.demodulate, tile);
  const at::Tensor y = winograd_conv(x, bank, {}, scale, /*demodulate=*/false, tile);
  if (!options.demodulate) return y;
  return y * demodulation(bank, {}, style, options.weight_gain).view({x.size(0), -1, 1, 1});
}

}  // namespace

at::Tensor adaptive_conv_reference(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection,
                                   const at::Tensor& style, const ModulatedOptions& options) {
  check(x, bank, selection, style, options);
  const int64_t b = x.size(0), out = bank.size(1), in = bank.size(2), k = bank.size(3);
  const at::Tensor mixed = selection.defined() ? at::matmul(selection, bank.flatten(1)).view({b, out, in, k, k})
                                               : bank.expand({b, -1, -1, -1, -1});
  at::Tensor kernel = mixed * (style * options.weight_gain).view({b, 1, in, 1, 1});  // [B, O, I, k, k]
  if (options.demodulate)
    kernel = kernel * (kernel.square().sum({2, 3, 4}, /*keepdim=*/true) + kDemodulationEps).rsqrt();
  const at::Tensor one_image = x.reshape({1, b * in, x.size(2), x.size(3)});
  const at::Tensor y = convolve(one_image, kernel.reshape({b * out, in, k, k}), options, /*groups=*/b);
  return y.view({b, out, y.size(2), y.size(3)});
}

at::Tensor adaptive_conv(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection,
                         const at::Tensor& style, const ModulatedOptions& options) {
  check(x, bank, selection, style, options);
  const int64_t tile = tiles_for(x, bank, selection, options);
  if (tile > 0) return by_tiles(x, bank, selection, style, options, tile);
  if (selection.defined() && kernels_are_smaller(x, bank))
    return adaptive_conv_reference(x, bank, selection, style, options);
  const auto type = x.scalar_type();
  const at::Tensor scaled = x * style.view({style.size(0), -1, 1, 1}).to(type);
  const at::Tensor y = mixed_conv(scaled, bank, selection, options);
  if (!options.demodulate) return options.weight_gain == 1 ? y : y * options.weight_gain;
  const at::Tensor factor = demodulation(bank, selection, style, options.weight_gain);  // [B, O]
  return y * (factor * options.weight_gain).view({y.size(0), -1, 1, 1}).to(y.scalar_type());
}

AdaptiveConvImpl::AdaptiveConvImpl(int64_t in, int64_t out, int64_t kernel, int64_t bank_size, int64_t w_dim,
                                   const Init& init, const ModulatedOptions& options)
    : options_(options) {
  bank = register_parameter("bank", init.normal("bank", {bank_size, out, in, kernel, kernel}, 1));
  bias = register_parameter("bias", at::zeros({out}));
  affine = register_module("affine", EqualizedLinear(w_dim, in, init / "affine", EqualizedOptions{.bias = 1}));
  if (bank_size > 1) select = register_module("select", EqualizedLinear(w_dim, bank_size, init / "select"));
}

at::Tensor AdaptiveConvImpl::selection(const at::Tensor& w) {
  return select.is_empty() ? at::Tensor() : at::softmax(select(w).to(at::kFloat), -1);
}

at::Tensor AdaptiveConvImpl::forward(const at::Tensor& x, const at::Tensor& w) {
  const at::Tensor y = adaptive_conv(x, bank, selection(w), affine(w), options_);
  return y + bias.view({1, -1, 1, 1}).to(y.scalar_type());
}

at::Tensor AdaptiveConvImpl::activated(const at::Tensor& x, const at::Tensor& w) {
  return leaky_relu_of_biased(adaptive_conv(x, bank, selection(w), affine(w), options_), bias);
}

ModulatedLinearImpl::ModulatedLinearImpl(int64_t in, int64_t out, int64_t condition, bool demodulate, const Init& init)
    : demodulate_(demodulate) {
  weight = register_parameter("weight", init.normal("weight", {out, in, 1, 1}, 1));
  bias = register_parameter("bias", at::zeros({out}));
  affine = register_module("affine", EqualizedLinear(condition, in, init / "affine", EqualizedOptions{.bias = 1}));
}

at::Tensor ModulatedLinearImpl::forward(const at::Tensor& x, const at::Tensor& condition) {
  at::Tensor style = affine(condition);  // [B, I]
  if (!demodulate_) style = style / std::sqrt(static_cast<double>(style.size(1)));
  const at::Tensor y = adaptive_conv(x, weight.unsqueeze(0), {}, style, ModulatedOptions{.demodulate = demodulate_});
  return y + bias.view({1, -1, 1, 1}).to(y.scalar_type());
}

}  // namespace gigacat::nn
