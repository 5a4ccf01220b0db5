// The networks that the recipe upsampler can train.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gigacat/core/config.h"
#include "gigacat/models/aura_sr/network.h"
#include "gigacat/models/gigagan/upsampler.h"
#include "gigacat/nn/init.h"
#include "gigacat/recipes/enlarger.h"

namespace gigacat::recipes {

// Letters: B images, s and S side before and after, Z width of z.
class UpsamplerNetwork {
 public:
  virtual ~UpsamplerNetwork() = default;
  virtual EnlargerSizes sizes() const = 0;
  // A new network on the CPU. nn::Init::zeros(): its weights are loaded right after.
  virtual std::shared_ptr<torch::nn::Module> make(const nn::Init& init) const = 0;
  // x [B, 3, s, s] in [-1, 1], standard normal noise of that shape, z [B, Z], captions or null -> [B, 3, S, S].
  virtual at::Tensor run(torch::nn::Module& network, const at::Tensor& x, const at::Tensor& noise, const at::Tensor& z,
                         const models::gigagan::Captions* captions) const = 0;
  // `network` with one latent and one caption for all tiles.
  virtual std::unique_ptr<Enlarger> enlarger(
      std::shared_ptr<torch::nn::Module> network,
      std::function<models::gigagan::Captions(const std::string&)> read) const = 0;
  virtual double flops(torch::nn::Module& network) const = 0;  // of one image
  virtual double activation_bytes(torch::nn::Module& network) const = 0;
};

// Ours. `text`: none for models without it. side: s.
std::unique_ptr<UpsamplerNetwork> unet_network(const models::gigagan::UpsamplerConfig& config,
                                               const std::optional<models::gigagan::TextConfig>& text, int64_t side,
                                               int64_t scale);
// AuraSR's. `folder`: config.json and model.safetensors to begin with; "": the released sizes and random weights.
// Errors: UsageError when it does not make `side` px into side * scale; Error as load_aura_sr.
std::unique_ptr<UpsamplerNetwork> aura_sr_network(const std::string& folder, int64_t side, int64_t scale);

}  // namespace gigacat::recipes
