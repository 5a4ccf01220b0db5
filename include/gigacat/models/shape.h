// What a network sees or makes, apart from its own architecture.
#pragma once

#include <cstdint>

namespace gigacat::models {

struct ImageShape {
  int64_t channels = 3, height = 32, width = 32;  // C, H, W of images or latents
  int64_t num_classes = 1;
};

}  // namespace gigacat::models
