#include <zlib.h>

#include "gigacat/core/error.h"
#include "image_internal.h"

namespace gigacat::io {

namespace {

constexpr size_t kSignature = 8, kAround = 12;  // bytes of a chunk beside its data: length, type, checksum
constexpr int kIndexed = 3;                     // color type

bool decides_pixels(std::string_view type) {
  return type == "IHDR" || type == "PLTE" || type == "tRNS" || type == "IDAT" || type == "IEND";
}

void check_crc(Bytes chunk, std::string_view type, std::string_view name) {
  const Bytes summed = chunk.subspan(4, chunk.size() - 8);
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(summed.data()), summed.size());
  if (crc != load_be<uint32_t>(chunk, chunk.size() - 4))
    fail(name, ": damaged PNG: the checksum of ", type, " is wrong");
}

}  // namespace

// Chunks that do not decide pixels are left out: libpng prints its complaints about them to the terminal.
PngParts read_png(Bytes bytes, std::string_view name) {
  PngParts parts;
  bool palette = false, pixels = false;
  parts.file.reserve(bytes.size());
  parts.file = as_text(bytes.first(kSignature));
  for (size_t at = kSignature;;) {
    if (bytes.size() - at < kAround) fail(name, ": truncated PNG (it has no IEND)");
    const size_t length = load_be<uint32_t>(bytes, at);
    const std::string_view type = as_text(bytes.subspan(at + 4, 4));
    if (length > bytes.size() - at - kAround) fail(name, ": truncated PNG (it ends inside ", shown(type), ")");
    const Bytes chunk = bytes.subspan(at, length + kAround);
    if (decides_pixels(type)) {
      check_crc(chunk, type, name);
      parts.file += as_text(chunk);
    }
    const Bytes data = chunk.subspan(8, length);
    if (type == "IHDR" && length >= 13) {
      parts.bit_depth = std::to_integer<int>(data[8]);
      parts.color_type = std::to_integer<int>(data[9]);
    }
    if (type == "tRNS") parts.transparency = as_text(data);
    palette |= type == "PLTE";
    pixels |= type == "IDAT";
    if (type == "IEND") break;
    at += chunk.size();
  }
  if (!pixels || (parts.color_type == kIndexed && !palette)) fail(name, ": damaged PNG: it lacks IDAT or PLTE");
  return parts;
}

}  // namespace gigacat::io
