// What the image sources share.
#pragma once

#include <string>
#include <string_view>

#include "bytes.h"
#include "gigacat/io/image.h"

namespace gigacat::io {

constexpr size_t kMostProfile = 16 << 20;  // bytes of a colour profile

// Orientation 1 to 8 in an EXIF block (with or without its "Exif" mark); 1 where it has none or is damaged.
int exif_orientation(Bytes exif);

// The image as a viewer shows it, RGB or RGBA. `orientation` as in EXIF.
Image apply_orientation(Image image, int orientation);

// An image of the header's size. Errors: InternalError when it has no pixel or not as many bytes as it should.
void check_size(const Image& image);

// Pixels as stored, RGB, or RGBA where the file has an alpha channel. Errors: Error naming `name`, also for every fault
// that costs pixels.
Image decode_jpeg(Bytes bytes, std::string_view name, const ImageHeader& header);
Image decode_png(Bytes bytes, std::string_view name, const ImageHeader& header);
Image decode_webp(Bytes bytes, std::string_view name, const ImageHeader& header);
Image decode_bmp(Bytes bytes, std::string_view name, const ImageHeader& header);

// The ICC profile in a file of the format; "" where there is none or the file is damaged.
std::string jpeg_profile(Bytes bytes);
std::string png_profile(Bytes bytes);
std::string webp_profile(Bytes bytes);

}  // namespace gigacat::io
