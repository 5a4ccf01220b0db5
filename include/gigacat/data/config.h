// The `data:` section of a config.
#pragma once

#include <cstdint>
#include <string>

#include "gigacat/core/config.h"

namespace gigacat::data {

struct DataConfig {
  std::string kind, path, crop, background, features, caption_column, cache;
  int64_t resolution, height, width, raw_resolution, channels, num_classes, workers, prefetch, max_pixels;
  double max_bad_fraction, latent_scale, latent_shift;
  bool flip, labels, captions;
  void bind(config::Binder& b);

  // Size of a sample as the networks see it, px or latent cells; 0 when the config leaves it open.
  int64_t target_height() const { return height > 0 ? height : resolution; }
  int64_t target_width() const { return width > 0 ? width : resolution; }
  // Threads that decode: `workers`, or one less than the cores.
  int64_t worker_count() const;
};

}  // namespace gigacat::data
