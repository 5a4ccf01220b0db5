// BMP by stb_image, all of whose other formats are switched off.
#include <climits>
#include <cstdlib>
#include <memory>

#include "gigacat/core/error.h"
#include "image_internal.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#include <stb/stb_image.h>

namespace gigacat::io {

Image decode_bmp(Bytes bytes, std::string_view name, const ImageHeader& header) {
  constexpr uint32_t kPlain = 0, kRunLength8 = 1, kRunLength4 = 2, kBitFields = 3;
  const bool old = load_le<uint32_t>(bytes, 14) == 12;
  if (bytes.size() < (old ? 26 : 54)) fail(name, ": truncated BMP");
  const uint32_t packing = old ? kPlain : load_le<uint32_t>(bytes, 30);
  if (packing > kBitFields) fail(name, ": BMP of packing ", packing, " is not supported");
  if (packing == kRunLength8 || packing == kRunLength4)
    fail(name, ": run-length packed BMP is not supported; convert it to PNG");
  const int64_t bits = load_le<uint16_t>(bytes, old ? 24 : 28);
  const int64_t needed = load_le<uint32_t>(bytes, 10) + (header.width * bits + 31) / 32 * 4 * header.height;
  if (needed > static_cast<int64_t>(bytes.size())) fail(name, ": truncated BMP");
  if (bytes.size() > static_cast<size_t>(INT_MAX)) fail(name, ": an image file of ", bytes.size(), " bytes is refused");
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, decltype(&std::free)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()), static_cast<int>(bytes.size()), &width,
                            &height, &channels, 3),
      std::free);
  if (!pixels) fail(name, ": damaged or truncated BMP: ", stbi_failure_reason());
  if (height != header.height || width != header.width) fail(name, ": damaged BMP: it has two sizes");
  const auto size = static_cast<size_t>(header.height * header.width * 3);
  return {header.height, header.width, 3, {pixels.get(), pixels.get() + size}};
}

}  // namespace gigacat::io
