// What the image sources share.
#pragma once

#include <string>
#include <string_view>

#include "bytes.h"
#include "gigacat/io/image.h"

namespace gigacat::io {

// Orientation 1 to 8 in an EXIF block (with or without its "Exif" mark); 1 where it has none or is damaged.
int exif_orientation(Bytes exif);

// The image as a viewer shows it, RGB. `orientation` as in EXIF.
Image apply_orientation(Image image, int orientation);

// Pixels as stored, RGB. Errors: Error naming `name`, also for every fault that costs pixels.
Image decode_jpeg(Bytes bytes, std::string_view name, const ImageHeader& header);

// The chunks of a PNG that decide its pixels, in a file of their own.
struct PngParts {
  std::string file;  // signature, IHDR, PLTE, tRNS, IDAT, IEND
  int bit_depth = 0, color_type = 0;
  std::string transparency;  // content of tRNS
};
// Errors: Error naming `name` when the file is cut short or a checksum is wrong.
PngParts read_png(Bytes bytes, std::string_view name);

// One thread and no log lines: the loader has threads of its own, and faults are thrown.
void set_up_opencv();

}  // namespace gigacat::io
