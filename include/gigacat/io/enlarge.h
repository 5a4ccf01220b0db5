// Small images at a size that can be looked at.
#pragma once

#include <cstdint>
#include <vector>

#include "gigacat/io/image.h"

namespace gigacat::io {

// Each pixel as a square of `factor` x `factor`. Errors: InternalError for a factor under 1.
Image enlarge(const Image& image, int64_t factor);

// make_grid of images that are each enlarged by the same whole number, so that small ones can be looked at: to sides
// of 96 px or more as long as the grid stays within 2048 px. Errors: as make_grid.
Image enlarged_grid(const std::vector<Image>& images, int64_t columns);

}  // namespace gigacat::io
