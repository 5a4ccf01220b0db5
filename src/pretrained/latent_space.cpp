#include "gigacat/pretrained/latent_space.h"

#include <ATen/ATen.h>

#include "gigacat/core/error.h"

namespace gigacat::pretrained {

LatentSpace::LatentSpace(const AutoencoderConfig& config, int64_t channels, double scale, double shift,
                         at::Device device)
    : autoencoder_(make_autoencoder(config, device)), scale_(scale), shift_(shift), pixels_(config.kind == "identity") {
  if (!pixels_ && autoencoder_->channels() != channels)
    fail<UsageError>("autoencoder: ", autoencoder_->name(), " has latents of ", autoencoder_->channels(),
                     " channels, but data.channels is ", channels);
}

at::Tensor LatentSpace::decode(const at::Tensor& x) const {
  return pixels_ ? x : autoencoder_->decode(x / scale_ + shift_);
}

}  // namespace gigacat::pretrained
