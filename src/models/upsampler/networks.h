// The two kinds of generator that an upsampler can have.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gigacat/models/gigagan/upsampler.h"
#include "gigacat/models/tile_upsampler.h"
#include "gigacat/nn/init.h"

namespace gigacat::models::upsampler {

// Letters: B images, s and S side before and after, Z width of z.
class GeneratorKind {
 public:
  virtual ~GeneratorKind() = default;
  virtual TileUpsamplerSizes sizes() const = 0;
  // A new network on the CPU.
  virtual std::shared_ptr<torch::nn::Module> make(const nn::Init& init) const = 0;
  // x [B, 3, s, s] in [-1, 1], standard normal noise of that shape, z [B, Z] -> [B, 3, S, S].
  virtual at::Tensor run(torch::nn::Module& network, const at::Tensor& x, const at::Tensor& noise, const at::Tensor& z,
                         const gigagan::Captions& captions) const = 0;
  // `read` turns a caption into the inputs of the text layers.
  virtual std::unique_ptr<TileUpsampler> tile_upsampler(
      std::shared_ptr<torch::nn::Module> network, std::function<gigagan::Captions(const std::string&)> read) const = 0;
  virtual bool is_attention(const torch::nn::Module& module) const = 0;
  virtual double flops(const torch::nn::Module& network) const = 0;  // of one image
  virtual double activation_bytes(const torch::nn::Module& network) const = 0;
};

// GigaGAN's. `text`: none for models without it. side: s.
std::unique_ptr<GeneratorKind> unet_kind(const gigagan::UpsamplerConfig& config,
                                         const std::optional<gigagan::TextConfig>& text, int64_t side, int64_t scale);
// AuraSR's. `folder`: config.json and model.safetensors to begin with; "": the released sizes and random weights.
// Errors: UsageError when it does not make `side` px into side * scale; Error as load_aura_sr.
std::unique_ptr<GeneratorKind> aura_sr_kind(const std::string& folder, int64_t side, int64_t scale);

}  // namespace gigacat::models::upsampler
