// Colour profiles of image files, carried as they are.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace gigacat::io {

// The ICC profile in a JPEG, PNG or WebP; "" where there is none or it is damaged (pixels are then taken as sRGB).
std::string icc_profile(std::span<const std::byte> file);

// The file with the profile in it, [PNG, JPEG or WebP as encode_* write them]; unchanged for an empty profile.
std::string with_icc_profile(std::string file, const std::string& profile);

}  // namespace gigacat::io
