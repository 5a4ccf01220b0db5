// AuraSR: the openly released upsampler of GigaGAN's kind, 64 -> 256 px tiles. Tensor names as released.
// Source: fal's aura-sr 0.0.4 (class UnetUpsampler); GigaGAN (arXiv 2303.05511) section 3.4.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gigacat/weights/weights.h"

namespace gigacat::pretrained {
class Conv2dImpl;
}

namespace gigacat::models::aura_sr {

// What config.json beside the weights says; values that it leaves out are the reference class's defaults.
struct AuraSrConfig {
  int64_t dim = 64, init_dim = 64, channels = 3;
  int64_t image_size = 256, input_image_size = 64;  // px
  int64_t z_dim = 128, style_dim = 512, style_depth = 8;
  double style_lr = 0.1;        // on weights and biases of the style network
  double skip_scale = 0.70711;  // on what the down path hands to the up path
  int64_t kernels = 4;          // N of the bank
  int64_t heads = 8, head_dim = 64, mid_attn_depth = 4;
  std::vector<int64_t> up_mults{1, 2, 4, 8, 16}, down_mults{4, 8, 16}, attn_depths{2, 2, 2, 2, 4};
  std::vector<bool> full_attn{false, false, false, true, true};

  int64_t scale() const { return image_size / input_image_size; }
  // From the text of config.json; `origin` names it in errors. Errors: Error for other text and for sizes that no such
  // network has.
  static AuraSrConfig parse(const std::string& json, const std::string& origin);
};

class ModulatedBlockImpl;
class AttentionStackImpl;

// B tiles, s = input_image_size, S = image_size, Z latent width.
class AuraSrImpl : public torch::nn::Module {
 public:
  explicit AuraSrImpl(const AuraSrConfig& config);
  ~AuraSrImpl() override;
  const AuraSrConfig& config() const { return config_; }

  // Tiles [B, 3, s, s] in [0, 1], standard normal noise of the same shape (0.001 of it is added), z [B, Z] -> [B, 3, S,
  // S], not clamped.
  at::Tensor forward(const at::Tensor& tiles, const at::Tensor& noise, const at::Tensor& z);
  // Fixes one latent z [1, Z] for all tiles to come: the bank is mixed, modulated and demodulated once, and what is
  // left is a plain convolutional network.
  void fold(const at::Tensor& z);
  // As above with the latent that was folded in. Errors: InternalError without one.
  at::Tensor forward(const at::Tensor& tiles, const at::Tensor& noise);

  // Called with the name and output of each part, for comparisons.
  std::function<void(const std::string&, const at::Tensor&)> probe;

 private:
  struct Style;
  struct Level;
  at::Tensor styles(const at::Tensor& z);
  at::Tensor run(const at::Tensor& tiles, const at::Tensor& noise, Style& style);
  at::Tensor seen(const std::string& name, const at::Tensor& output) const;
  // Every block in the order in which the stream of modulations serves them.
  std::vector<std::shared_ptr<ModulatedBlockImpl>> blocks() const;
  std::shared_ptr<ModulatedBlockImpl> block(const std::string& path, int64_t in, int64_t out);

  AuraSrConfig config_;
  std::vector<std::pair<at::Tensor, at::Tensor>> style_network_;  // weight, bias
  std::shared_ptr<pretrained::Conv2dImpl> init_conv_, final_to_rgb_;
  at::Tensor modulation_weight_, modulation_bias_;
  std::vector<Level> downs_, ups_;
  std::shared_ptr<ModulatedBlockImpl> mid_block1_, mid_block2_, final_block_;
  std::shared_ptr<AttentionStackImpl> mid_attn_;
  bool folded_ = false;
};
TORCH_MODULE(AuraSr);

// A folder with config.json and model.safetensors, or that file beside its config.json. Errors: Error when one of them
// is missing or they do not fit.
AuraSr load_aura_sr(const std::filesystem::path& path, const weights::LoadOptions& options = {});

}  // namespace gigacat::models::aura_sr
