// TAESD: a small distilled autoencoder for the latents of Stable Diffusion (taesd, taesdxl), Stable Diffusion 3 and
// FLUX.1 (taesd3, taef1) and FLUX.2 (taef2). Source: github.com/madebyollin/taesd.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <functional>
#include <string>
#include <vector>

#include "gigacat/weights/weights.h"

namespace gigacat::pretrained {

struct TaesdConfig {
  int64_t latent_channels = 4;  // 4: taesd, taesdxl; 16: taesd3, taef1; 32: taef2
  bool pooled = false;          // the coarsest blocks add a group-normed bottleneck: taef2
  bool encoder = true, decoder = true;

  // Read off names and shapes (encoder.N, decoder.N). Errors: Error when the tensors are of another network.
  static TaesdConfig deduce(const weights::Weights& weights);
};

// Tensors renamed to encoder.N.* and decoder.N.*: from an encoder's or a decoder's own indices (0.weight), and from
// diffusers' encoder.layers.N and decoder.layers.N.
weights::Weights taesd_names(weights::Weights weights);

// One half, a sequence of layers that are children by number.
class TaesdHalfImpl : public torch::nn::Module {
 public:
  // [B, 3, H, W] -> [B, C, H / 8, W / 8].
  static std::shared_ptr<TaesdHalfImpl> encoder(const TaesdConfig& config);
  // [B, C, h, w] -> [B, 3, 8 h, 8 w].
  static std::shared_ptr<TaesdHalfImpl> decoder(const TaesdConfig& config);
  at::Tensor forward(const at::Tensor& x);

 private:
  void conv(int64_t in, int64_t out, int64_t stride, bool bias, bool relu = false);
  void blocks(int count, bool pooled);
  void apply(std::function<at::Tensor(const at::Tensor&)> step) { steps_.push_back(std::move(step)); }

  int index_ = 0;
  std::vector<std::function<at::Tensor(const at::Tensor&)>> steps_;
};

// Images [B, 3, H, W] in [0, 1], H and W multiples of 8; latents [B, C, H / 8, W / 8] as the model that they belong to
// sees them, scaled already.
class TaesdImpl : public torch::nn::Module {
 public:
  explicit TaesdImpl(const TaesdConfig& config);
  const TaesdConfig& config() const { return config_; }
  // [B, 3, H, W] -> [B, C, H / 8, W / 8]. Errors: Error when the file held no encoder.
  at::Tensor encode(const at::Tensor& images);
  // [B, C, h, w] -> [B, 3, 8 h, 8 w], not clamped. Errors: Error when the file held no decoder.
  at::Tensor decode(const at::Tensor& latents);

 private:
  TaesdConfig config_;
  std::shared_ptr<TaesdHalfImpl> encoder_, decoder_;
};
TORCH_MODULE(Taesd);

// Any of the naming schemes. Errors: Error when the tensors do not fit.
Taesd load_taesd(weights::Weights weights, const weights::LoadOptions& options = {});

}  // namespace gigacat::pretrained
