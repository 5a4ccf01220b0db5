// The space that a run's networks work in, and the images that its points stand for.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "gigacat/pretrained/autoencoder.h"

namespace gigacat::pretrained {

// x = (latent - shift) * scale; in pixel space x is the image itself, in [-1, 1].
class LatentSpace {
 public:
  // Reads the autoencoder's weights. Errors: as make_autoencoder; UsageError when it has other channels than the
  // networks' `channels`.
  LatentSpace(const AutoencoderConfig& config, int64_t channels, double scale, double shift, at::Device device);

  bool is_pixels() const { return pixels_; }
  // Pixels per cell along a side.
  int64_t factor() const { return autoencoder_->factor(); }
  // Kind and weights of the autoencoder, for results.
  std::string name() const { return autoencoder_->name(); }
  // [B, C, h, w] -> images [B, 3, H, W] in [-1, 1]; pixels are given back as they are.
  at::Tensor decode(const at::Tensor& x) const;

 private:
  std::unique_ptr<Autoencoder> autoencoder_;
  double scale_, shift_;
  bool pixels_;
};

}  // namespace gigacat::pretrained
