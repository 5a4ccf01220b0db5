// The `data:` section of a config.
#pragma once

#include "gigacat/core/config.h"

namespace gigacat::data {

struct DataConfig {
  std::string kind, path, autoencoder_note;
  std::string crop, background, features, caption_column, cache;
  int64_t resolution, height, width, channels, num_classes, workers, prefetch, max_pixels;
  double max_bad_fraction, latent_scale, latent_shift;
  bool flip, labels, captions;
  void bind(config::Binder& b);
};

}  // namespace gigacat::data
