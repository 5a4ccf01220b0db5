// The learned text layers T and the mapping network. Source: GigaGAN (arXiv 2303.05511) section 3.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>

#include "gigacat/models/gigagan/config.h"
#include "gigacat/nn/equalized.h"

// Letters: B batch, L tokens, D text width, F width of frozen features, Z latent width, V style width.
namespace gigacat::models::gigagan {

// Captions as T takes them.
struct Captions {
  at::Tensor tokens;  // ids [B, L] int64, or features of a frozen encoder [B, L, F]
  at::Tensor end;     // [B] int64, place of the end-of-text token; what follows is padding
  // The captions at places of the batch, [n] int64.
  Captions at(const at::Tensor& places) const;
};

struct Text {
  at::Tensor local;   // t_local [B, L, D]
  at::Tensor mask;    // [B, L] bool: tokens before end-of-text, those that pixels may attend to
  at::Tensor global;  // t_global [B, D], the end-of-text token
};

// Pre-norm transformer over the tokens of a caption, padding masked out. Children layers.*, norm; parameters embedding
// [V, D] and position [L, D] where it takes ids; child in where F is not D.
class TextLayersImpl : public torch::nn::Module {
 public:
  TextLayersImpl(const TextConfig& config, const nn::Init& init);
  Text forward(const Captions& captions);
  double flops() const;  // of one caption

 private:
  TextConfig config_;
  at::Tensor embedding_, position_;
  nn::EqualizedLinear in_{nullptr};
  torch::nn::ModuleList layers_;
  at::Tensor norm_weight_, norm_bias_;
};
TORCH_MODULE(TextLayers);

// w = M(z, t_global): both at unit second moment, concatenated (z first), equalised layers fc0, fc1, ... with leaky
// ReLU.
class MappingImpl : public torch::nn::Module {
 public:
  // `text` 0: unconditional.
  MappingImpl(int64_t z_dim, int64_t text, int64_t w_dim, int64_t layers, double lr_multiplier, const nn::Init& init);
  // z [B, Z], global [B, D] or undefined -> w [B, V].
  at::Tensor forward(const at::Tensor& z, const at::Tensor& global);

 private:
  std::vector<nn::EqualizedLinear> layers_;
};
TORCH_MODULE(Mapping);

}  // namespace gigacat::models::gigagan
