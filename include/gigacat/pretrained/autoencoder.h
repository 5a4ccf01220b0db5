// Between images and the space that a model works in.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "gigacat/core/config.h"

namespace gigacat::pretrained {

// `autoencoder:` what turns images into latents and back.
struct AutoencoderConfig {
  std::string kind = "identity", weights, precision = "fp32";
  int64_t batch = 8, tile = 1024;
  void bind(config::Binder& b);
};

// A Gaussian for each latent element; both [B, C, h, w].
struct Moments {
  at::Tensor mean;
  at::Tensor logvar;  // clamped to -30..20; undefined where the encoder gives latents and no distribution
  // mean + exp(logvar / 2) * noise, noise [B, C, h, w] standard normal; the mean where there is no distribution.
  at::Tensor sample(const at::Tensor& noise) const;
};

// Images are [B, 3, H, W] in [-1, 1], latents [B, C, h, w] with h = H / factor(), float32, as the autoencoder makes
// them: a config's latent shift and scale are the caller's. No gradient. Batches are computed in parts of config.batch.
class Autoencoder {
 public:
  virtual ~Autoencoder() = default;
  // Kind and first digits of the weights' SHA-256: "taesd 10a4e102".
  virtual std::string name() const = 0;
  // C.
  virtual int64_t channels() const = 0;
  // Pixels per latent cell along a side.
  virtual int64_t factor() const = 0;

  // [B, 3, H, W] -> the distribution of latents [B, C, h, w]. Errors: Error when H or W is no multiple of factor(), or
  // the weights hold no encoder.
  virtual Moments moments(const at::Tensor& images) = 0;
  // The mean of moments(): [B, 3, H, W] -> [B, C, h, w].
  at::Tensor encode(const at::Tensor& images) { return moments(images).mean; }
  // [B, C, h, w] -> [B, 3, H, W], clamped to [-1, 1]. Errors: Error when the weights hold no decoder.
  virtual at::Tensor decode(const at::Tensor& latents) = 0;
};

// Reads the weights. Errors: UsageError for a kind without weights, Error when the weights do not fit it.
std::unique_ptr<Autoencoder> make_autoencoder(const AutoencoderConfig& config, at::Device device);

}  // namespace gigacat::pretrained
