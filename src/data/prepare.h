// From decoded images to what a batch holds.
#pragma once

#include <cstdint>
#include <string>

#include "gigacat/data/config.h"
#include "gigacat/data/loader.h"
#include "gigacat/io/image.h"

namespace gigacat::data {

// Decodes an encoded image under the config's background and size limit. Errors: Error.
io::Image decode(const std::string& bytes, const std::string& name, const DataConfig& config);

// Crops and resizes `image` to target_height x target_width; `position` picks the random window.
// Errors: Error for a size that crop = none cannot take, or a side so short that resizing would pass max_pixels.
io::Image fit(io::Image image, const DataConfig& config, uint64_t seed, int64_t position);

// RGB or grey image to planes [channels, H, W], mirrored when `flip`. Errors: InternalError for other channel counts.
void to_planes(const io::Image& image, int64_t channels, bool flip, uint8_t* planes);

// The image that a latent was made from, as RGB planes [3, size, size]. Errors: Error.
void decode_raw(const RawSample& sample, const DataConfig& config, uint8_t* planes);

// Pixels [H, W, C] of a sample that is not encoded, through the same steps as decode_sample. Errors: Error.
void place_pixels(const RawSample& sample, const std::vector<int64_t>& shape, const DataConfig& config, uint64_t seed,
                  int64_t position, uint8_t* planes);

}  // namespace gigacat::data
