// Layers of frozen networks: parameters are uninitialised until weights are assigned (nn::assign_state) and need no
// gradient. Letters: B batch, C channels, H height, W width.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <array>
#include <functional>
#include <memory>
#include <string>

namespace gigacat::pretrained {

// A frozen parameter of `owner`, any shape, not initialised.
at::Tensor add_parameter(torch::nn::Module& owner, const std::string& name, at::IntArrayRef shape);

// The module below `owner` at a dotted path ("mlp.fc1" of "mlp.fc1.0"): groups on the way are made where they are not
// there. `name` is what is left, the last part.
torch::nn::Module& group_of(torch::nn::Module& owner, const std::string& path, std::string& name);

// Registers `child` at a dotted path: "pool.3".
template <class Holder>
Holder place(torch::nn::Module& owner, const std::string& path, Holder child) {
  std::string name;
  torch::nn::Module& group = group_of(owner, path, name);
  return group.register_module(name, std::move(child));
}

// Called with the name and the output of each stage of a network, any shape.
using StageObserver = std::function<void(const std::string& stage, const at::Tensor& output)>;

// Attention of `heads` heads: q, k, v [B, N, D] -> [B, N, D]. Causal: token i sees tokens 0..i.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t heads, bool causal = false);

// What follows a convolution in the same pass.
enum class Activation { none, relu };

// Channels in and out, and the window: kernel and padding as {height, width}.
struct Conv2dShape {
  int64_t in, out;
  std::array<int64_t, 2> kernel{3, 3}, padding{1, 1};
  int64_t stride = 1;
  bool bias = true;
};

// Convolution, then the sum with another tensor and the activation in the same pass where the CPU's library can
// (float32, no gradient, channels last). x [B, in, H, W] -> [B, out, H', W']. Parameters weight [out, in, kh, kw],
// bias.
class Conv2dImpl : public torch::nn::Module {
 public:
  explicit Conv2dImpl(const Conv2dShape& shape);
  at::Tensor forward(const at::Tensor& x, Activation activation = Activation::none, const at::Tensor& sum = {});

  at::Tensor weight, bias;

 private:
  at::Tensor fused(const at::Tensor& x, Activation activation, const at::Tensor& sum);

  Conv2dShape shape_;
  at::Tensor packed_;                // the weight as the CPU's library wants it
  const void* packed_of_ = nullptr;  // data it was packed from
};
TORCH_MODULE(Conv2d);

// y = x W^T + b, x [..., in] -> [..., out].
class LinearImpl : public torch::nn::Module {
 public:
  LinearImpl(int64_t in, int64_t out, bool with_bias = true);
  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight, bias;
};
TORCH_MODULE(Linear);

// Over the last dimension of x [..., width].
class LayerNormImpl : public torch::nn::Module {
 public:
  LayerNormImpl(int64_t width, double eps);
  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight, bias;

 private:
  double eps_;
};
TORCH_MODULE(LayerNorm);

// Over each of `groups` of channels, x [B, channels, ...].
class GroupNormImpl : public torch::nn::Module {
 public:
  GroupNormImpl(int64_t groups, int64_t channels, double eps);
  at::Tensor forward(const at::Tensor& x);

  at::Tensor weight, bias;

 private:
  int64_t groups_;
  double eps_;
};
TORCH_MODULE(GroupNorm);

}  // namespace gigacat::pretrained
