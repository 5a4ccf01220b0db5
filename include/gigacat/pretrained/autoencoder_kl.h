// The variational autoencoder of Stable Diffusion and its kin with 16 or 32 channels. Source: diffusers AutoencoderKL.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "gigacat/pretrained/autoencoder.h"
#include "gigacat/pretrained/layers.h"
#include "gigacat/weights/weights.h"

namespace gigacat::pretrained {

struct AutoencoderKlConfig {
  std::vector<int64_t> widths{128, 256, 512, 512};  // of the levels, fine to coarse
  int64_t layers = 2;                               // residual blocks of an encoder's level; a decoder's has one more
  int64_t latent_channels = 4;
  int64_t norm_groups = 32;
  bool quant_conv = true, post_quant_conv = true;

  // All but norm_groups, which no shape tells, from names and shapes. Errors: Error for another network's tensors.
  static AutoencoderKlConfig deduce(const weights::Weights& weights);
  int64_t factor() const { return int64_t{1} << (widths.size() - 1); }
};

namespace autoencoder_kl_parts {
class Encoder;
class Decoder;
}  // namespace autoencoder_kl_parts

// Images [B, 3, H, W] in [-1, 1], latents [B, C, h, w] unscaled.
class AutoencoderKlImpl : public torch::nn::Module {
 public:
  explicit AutoencoderKlImpl(const AutoencoderKlConfig& config);
  ~AutoencoderKlImpl() override;
  const AutoencoderKlConfig& config() const { return config_; }

  // [B, 3, H, W] -> mean and log-variance side by side, [B, 2C, h, w]. `observe` gets "encoder.mid_block".
  at::Tensor encode(const at::Tensor& images, const StageObserver& observe = {});
  // [B, C, h, w] -> [B, 3, H, W], not clamped.
  at::Tensor decode(const at::Tensor& latents);

  // The same in overlapping tiles of at most `tile` px (0: whole), blended over their overlap of a quarter.
  at::Tensor encode_tiled(const at::Tensor& images, int64_t tile);
  at::Tensor decode_tiled(const at::Tensor& latents, int64_t tile);

 private:
  AutoencoderKlConfig config_;
  std::shared_ptr<autoencoder_kl_parts::Encoder> encoder_;
  std::shared_ptr<autoencoder_kl_parts::Decoder> decoder_;
  Conv2d quant_conv_{nullptr}, post_quant_conv_{nullptr};
};
TORCH_MODULE(AutoencoderKl);

// Splits moments [B, 2C, h, w] and clamps the log-variance to -30..20: two of [B, C, h, w].
Moments split_moments(const at::Tensor& moments);

// Both of diffusers' name styles of the attention: to_q or query. norm_groups 0: 32.
// Errors: Error when the tensors do not fit.
AutoencoderKl load_autoencoder_kl(const weights::Weights& weights, const weights::LoadOptions& options = {},
                                  int64_t norm_groups = 0);
// norm_num_groups of the config.json beside a weight file, 0 where it says nothing. Errors: Error for a broken file.
int64_t stored_norm_groups(const std::filesystem::path& weights);

// f of overlapping tiles of x [B, C, H, W], side `tile` and `overlap` of it shared with the next, laid out and blended
// in a tensor of `scale` (multiplied) or 1 / `scale` (`shrink`) times the size: [B, C', H', W'].
struct Tiling {
  int64_t tile, overlap, scale;
  bool shrink;
};
at::Tensor blend_tiles(const at::Tensor& x, const Tiling& tiling,
                       const std::function<at::Tensor(const at::Tensor&)>& f);

}  // namespace gigacat::pretrained
