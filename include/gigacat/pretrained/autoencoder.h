// Between images and the space that a model works in.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

namespace gigacat::pretrained {

class Autoencoder {
 public:
  virtual ~Autoencoder() = default;
  virtual std::string name() const = 0;
  // Images in [-1, 1], [B, 3, H, W] -> latents [B, C, h, w].
  virtual at::Tensor encode(const at::Tensor& images) = 0;
  // Latents -> images in [-1, 1]. No gradient.
  virtual at::Tensor decode(const at::Tensor& latents) = 0;
  // Pixels per latent cell along a side.
  virtual int64_t factor() const = 0;
};

// "identity": pixel space, latents are the images. Errors: UsageError with the names that are known.
std::unique_ptr<Autoencoder> make_autoencoder(const std::string& name, at::Device device);

}  // namespace gigacat::pretrained
