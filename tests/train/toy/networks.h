// The networks of the toy GAN: two small perceptrons. B batch, Z latent, W hidden width, C x H x W image.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include "gigacat/core/config.h"
#include "gigacat/models/shape.h"
#include "gigacat/nn/linear.h"

namespace gigacat::toy {

struct Config {
  int64_t latent, hidden;
  void bind(config::Binder& b);
};

class Generator : public torch::nn::Module {
 public:
  Generator(const Config& config, const models::ImageShape& shape, const nn::Init& init);
  // z [B, Z], labels [B] -> images [B, C, H, W].
  at::Tensor forward(const at::Tensor& z, const at::Tensor& labels) { return synthesize(style(z, labels)); }
  // The sum of latent and class [B, Z], and the images of such sums.
  at::Tensor style(const at::Tensor& z, const at::Tensor& labels) { return z + table_(labels); }
  at::Tensor synthesize(const at::Tensor& style);

  at::Tensor mean;  // [W], buffer: running mean of the hidden layer
  at::Tensor last;  // [B, W], of the last forward pass

 private:
  models::ImageShape shape_;
  nn::LabelTable table_{nullptr};
  nn::Linear in_{nullptr}, out_{nullptr};
};

class Discriminator : public torch::nn::Module {
 public:
  Discriminator(const Config& config, const models::ImageShape& shape, const nn::Init& init);
  // images [B, C, H, W], labels [B] -> logits [B, 1].
  at::Tensor forward(const at::Tensor& images, const at::Tensor& labels);

 private:
  nn::LabelTable table_{nullptr};
  nn::Linear in_{nullptr}, out_{nullptr};
};

}  // namespace gigacat::toy
