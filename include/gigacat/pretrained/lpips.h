// LPIPS: a distance of images in the features of AlexNet or VGG16. Source: Zhang et al., "The Unreasonable
// Effectiveness of Deep Features as a Perceptual Metric" (CVPR 2018), version 0.1;
// github.com/richzhang/PerceptualSimilarity.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <array>
#include <vector>

#include "gigacat/pretrained/layers.h"
#include "gigacat/weights/weights.h"

namespace gigacat::pretrained {

enum class LpipsNet { alex, vgg };

// Differentiable; weights are frozen.
class LpipsImpl : public torch::nn::Module {
 public:
  explicit LpipsImpl(LpipsNet net);
  // Two batches of images of one shape [B, 3, H, W] in [-1, 1] -> distances [B]. H, W at least 64 (alex) or 32 (vgg).
  at::Tensor forward(const at::Tensor& first, const at::Tensor& second);
  // The share of each of the five layers, [B, 5]: their sum is the distance.
  at::Tensor per_layer(const at::Tensor& first, const at::Tensor& second);
  // The distance at each pixel, [B, 1, H, W]: the layers' maps enlarged bilinearly and summed.
  at::Tensor map(const at::Tensor& first, const at::Tensor& second);
  // The five layers' features after ReLU, images [B, 3, H, W] in [-1, 1] -> [B, C, h, w] each.
  std::vector<at::Tensor> features(const at::Tensor& images);

 private:
  // [B, 1, h, w] of each layer.
  std::vector<at::Tensor> maps(const at::Tensor& first, const at::Tensor& second);

  LpipsNet net_;
  std::vector<Conv2d> convs_;
  std::array<Conv2d, 5> heads_{nullptr, nullptr, nullptr, nullptr, nullptr};
};
TORCH_MODULE(Lpips);

// From torchvision's backbone (features.N; its classifier is left out) and the heads (lin0.model.1.weight, ...); which
// network it is follows from the backbone. Errors: Error when they do not fit.
Lpips load_lpips(const weights::Weights& backbone, const weights::Weights& heads,
                 const weights::LoadOptions& options = {});

}  // namespace gigacat::pretrained
