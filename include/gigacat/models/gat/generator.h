// GAT's generator: a plain transformer from a style vector to K images, each added onto the one before.
// Source: "Scalable GANs with Transformers" (arXiv 2509.24935), section 3; tensor names as in the official code.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>

#include <string>

#include "gigacat/models/gat/config.h"
#include "gigacat/nn/transformer.h"

namespace gigacat::models::gat {

// B batch, D hidden width, T tokens, K stages, C channels, H x W image, Z latent width.
class GeneratorImpl : public torch::nn::Module {
 public:
  // Errors: UsageError when the image is not divisible by the patch.
  GeneratorImpl(const GeneratorConfig& config, const ImageShape& shape, const nn::Init& init);

  // z [B, Z], labels [B] int64 -> K images [K, B, C, H, W], coarse first; the last is the sample.
  at::Tensor forward(const at::Tensor& z, const at::Tensor& labels) { return synthesize(style(z, labels)); }

  // Mapping of z and class to the style vector w [B, D].
  at::Tensor style(const at::Tensor& z, const at::Tensor& labels);
  // w pulled toward its class's mean: w_avg[y] + psi * (w - w_avg[y]); psi 1 is off.
  at::Tensor truncate(const at::Tensor& w, const at::Tensor& labels, double psi) const;
  // w pushed away from the mean style of all classes for the same z: w_null + scale * (w - w_null). scale [B] or [1].
  at::Tensor guide(const at::Tensor& w, const at::Tensor& z, const at::Tensor& scale);
  // Mean style over all classes for a z, detached: [B, D].
  at::Tensor null_style(const at::Tensor& z);
  // Images [K, B, C, H, W] of styles w [B, D].
  at::Tensor synthesize(const at::Tensor& w);

  // Moves w_avg of each class present toward the class's mean of w [N, D] (labels [N]): the global batch's, so that all
  // ranks agree.
  void update_style_mean(const at::Tensor& w, const at::Tensor& labels);

  // FLOPs of one sample (2 per multiply-add), and float32 bytes that its backward pass keeps.
  double flops() const;
  double activation_bytes() const;

  at::Tensor w_avg;      // [num_classes, D]
  at::Tensor pos_embed;  // [1, T, D]

 private:
  GeneratorConfig config_;
  ImageShape shape_;
  int64_t rows_, columns_;
  nn::Rotary rotary_;
  nn::LabelTable y_embedder_{nullptr};
  nn::Mapping latent_embedder_{nullptr};
  torch::nn::ModuleList blocks_, final_layers_;
};
TORCH_MODULE(Generator);

}  // namespace gigacat::models::gat
