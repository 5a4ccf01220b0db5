// Headers, orientation, colour profiles and texts of image files, and the decoders.
#include <cstdlib>

#include "fuzz.h"
#include "gigacat/io/image.h"

FUZZ(bytes) {
  constexpr uint64_t most = 1 << 16;  // pixels: the time goes to headers
  gigacat::fuzz::sink = gigacat::io::icc_profile(bytes).size();
  const gigacat::io::ImageHeader header = gigacat::io::probe_image(bytes, "fuzz");
  if (header.height < 1 || header.width < 1 || header.orientation < 1 || header.orientation > 8) std::abort();
  const gigacat::io::Image image = gigacat::io::decode_image(bytes, "fuzz", {.most_pixels = most});
  if (static_cast<int64_t>(image.pixels.size()) != image.height * image.width * image.channels) std::abort();
  if (header.format == "png") gigacat::fuzz::sink = gigacat::io::png_texts(bytes, "fuzz").size();
}
