// Modulated convolution and GigaGAN's adaptive kernel bank.
// Source: StyleGAN2 (arXiv 1912.04958) section 2.2; GigaGAN (arXiv 2303.05511) section 3.1.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "gigacat/nn/equalized.h"

namespace gigacat::nn {

inline constexpr double kDemodulationEps = 1e-8;  // inside the root

struct ModulatedOptions {
  bool demodulate = true;
  int64_t up = 1, down = 1;  // 1 or 2, one of them 1
  double weight_gain = 1;
};

// Letters: B batch, I and O channels in and out, N kernels of the bank, k kernel size (1 or 3), V width of w.
//
// The kernel of sample b is K = weight_gain * style[b, i] * sum_n selection[b, n] bank[n], demodulated by rsqrt(sum
// over (i, ky, kx) of K^2 + 1e-8). up 2: transposed convolution of stride 2, then FIR; down 2: FIR, then stride 2. x
// [B, I, H, W], bank [N, O, I, k, k], selection [B, N] (undefined: N is 1), style [B, I] -> [B, O, H up / down, ...].
// The arithmetic is chosen by shape among equal ones, see src/nn/adaptive_conv.h; inside a TwiceDifferentiable scope it
// can be differentiated again.
at::Tensor adaptive_conv(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection,
                         const at::Tensor& style, const ModulatedOptions& options = {});

// The same as the definition reads: a kernel for each sample, one grouped convolution. Slow, and exact in any type.
at::Tensor adaptive_conv_reference(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection,
                                   const at::Tensor& style, const ModulatedOptions& options = {});

// The layer: style = affine(w), selection = softmax(select(w)), then the convolution and a bias. Parameters bank [N, O,
// I, k, k] (N(0, 1)), bias [O], affine.* (bias 1), and for N > 1 select.*.
class AdaptiveConvImpl : public torch::nn::Module {
 public:
  AdaptiveConvImpl(int64_t in, int64_t out, int64_t kernel, int64_t bank_size, int64_t w_dim, const Init& init,
                   const ModulatedOptions& options = {});
  // x [B, I, H, W], w [B, V] -> [B, O, H', W'].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& w);
  // leaky_relu(forward(x, w)).
  at::Tensor activated(const at::Tensor& x, const at::Tensor& w);
  // a = softmax(select(w)), [B, N]; undefined for N = 1.
  at::Tensor selection(const at::Tensor& w);

  at::Tensor bank, bias;
  EqualizedLinear affine{nullptr}, select{nullptr};

 private:
  ModulatedOptions options_;
};
TORCH_MODULE(AdaptiveConv);

// A modulated 1 x 1 convolution with one kernel: weight [O, I, 1, 1], bias [O], affine.*. Without demodulation the
// style is divided by sqrt(I) instead. To-RGB layers and prediction heads are made of it. Differentiable any number of
// times.
class ModulatedLinearImpl : public torch::nn::Module {
 public:
  ModulatedLinearImpl(int64_t in, int64_t out, int64_t condition, bool demodulate, const Init& init);
  // x [B, I, H, W], condition [B, V] -> [B, O, H, W].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& condition);

  at::Tensor weight, bias;
  EqualizedLinear affine{nullptr};

 private:
  bool demodulate_;
};
TORCH_MODULE(ModulatedLinear);

}  // namespace gigacat::nn
