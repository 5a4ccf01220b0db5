// Pictures that move.
#pragma once

#include <string>
#include <vector>

#include "gigacat/io/image.h"

namespace gigacat::io {

// Lossless WebP that shows RGB images of one size in turn, for ever, each for `milliseconds`. Errors: InternalError for
// unequal sizes. Source: RFC 9649, section 2.7.
std::string encode_webp_animation(const std::vector<Image>& frames, int milliseconds);

}  // namespace gigacat::io
