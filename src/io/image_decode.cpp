#include "gigacat/core/error.h"
#include "image_internal.h"

namespace gigacat::io {
namespace {

uint8_t blend(int color, int alpha, int background) {
  return static_cast<uint8_t>((color * alpha + background * (255 - alpha) + 127) / 255);
}

// RGBA to RGB, on the background or with alpha dropped.
Image without_alpha(Image image, const DecodeOptions& options) {
  const size_t count = image.pixels.size() / 4;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* from = &image.pixels[4 * i];
    const int alpha = options.as_stored ? 255 : from[3];
    for (size_t c = 0; c < 3; ++c) image.pixels[3 * i + c] = blend(from[c], alpha, options.background);
  }
  image.channels = 3;
  image.pixels.resize(3 * count);
  return image;
}

void refuse(const ImageHeader& header, std::string_view name, const DecodeOptions& options) {
  if (header.format == "gif") fail(name, ": ", header.format, " is not supported; convert it to PNG or JPEG");
  const uint64_t pixels = static_cast<uint64_t>(header.height) * static_cast<uint64_t>(header.width);
  if (pixels > options.most_pixels) {
    fail(name, ": ", header.width, " x ", header.height, " pixels are more than the ", options.most_pixels, " allowed");
  }
}

Image decode_pixels(Bytes bytes, std::string_view name, const ImageHeader& header) {
  if (header.format == "jpeg") return decode_jpeg(bytes, name, header);
  if (header.format == "png") return decode_png(bytes, name, header);
  if (header.format == "webp") return decode_webp(bytes, name, header);
  GIGACAT_CHECK(header.format == "bmp", header.format);
  return decode_bmp(bytes, name, header);
}

}  // namespace

void check_size(const Image& image) {
  const auto size = static_cast<size_t>(image.height * image.width * image.channels);
  GIGACAT_CHECK(image.pixels.size() == size && size > 0, image.pixels.size(), " bytes of ", size);
}

Image decode_image(Bytes bytes, std::string_view name, const DecodeOptions& options) {
  const ImageHeader header = probe_image(bytes, name);
  refuse(header, name, options);
  Image image = decode_pixels(bytes, name, header);
  if (image.channels == 4 && !options.keep_alpha) image = without_alpha(std::move(image), options);
  return options.as_stored ? image : apply_orientation(std::move(image), header.orientation);
}

std::string icc_profile(Bytes file) {
  constexpr size_t kHeader = 128, kSpace = 16, kMark = 36;  // ICC.1, section 7.2
  std::string profile;
  if (starts_with(file, "\xff\xd8")) profile = jpeg_profile(file);
  if (starts_with(file, "\x89PNG\r\n\x1a\n")) profile = png_profile(file);
  if (starts_with(file, "RIFF")) profile = webp_profile(file);
  const bool fits =
      profile.size() > kHeader && profile.substr(kSpace, 4) == "RGB " && profile.substr(kMark, 4) == "acsp";
  return fits ? profile : "";
}

}  // namespace gigacat::io
