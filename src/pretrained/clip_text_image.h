// CLIP as a pair of encoders for generators.
#pragma once

#include <memory>

#include "gigacat/pretrained/text_image.h"

namespace gigacat::pretrained {

// Errors: Error when the weights or the vocabulary cannot be read; UsageError when the spec names none.
std::unique_ptr<TextImageEncoder> make_clip_text_image(const TextImageSpec& spec, at::Device device);
// Of the weights where the spec names a file, else of ViT-L/14.
TextImageSizes clip_text_image_sizes(const TextImageSpec& spec);

}  // namespace gigacat::pretrained
