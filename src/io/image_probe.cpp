// Sizes from the first bytes of an image file, so that nothing is decoded before its size is known.
// Source: ITU T.81 (JPEG), RFC 2083 (PNG), RFC 9649 (WebP), GIF89a, the BITMAPINFOHEADER of BMP, EXIF 2.3.
#include <algorithm>
#include <cstdlib>

#include "gigacat/core/error.h"
#include "gigacat/io/content_kind.h"
#include "image_internal.h"

namespace gigacat::io {

namespace {

constexpr std::string_view kExifMark("Exif\0\0", 6);

[[noreturn]] void cut_short(std::string_view name, std::string_view format) {
  fail(name, ": the ", format, " file is cut short within its header");
}

// Start-of-frame markers: C0 to CF without DHT (C4), JPG (C8) and DAC (CC).
bool is_frame(unsigned marker) { return (marker & 0xf0) == 0xc0 && marker != 0xc4 && marker != 0xc8 && marker != 0xcc; }

ImageHeader probe_jpeg(Bytes bytes, std::string_view name) {
  constexpr unsigned kScan = 0xda, kEnd = 0xd9, kApp1 = 0xe1;
  ImageHeader header{.format = "jpeg"};
  size_t at = 2;
  for (;;) {
    while (at + 1 < bytes.size() && (bytes[at] != std::byte{0xff} || bytes[at + 1] == std::byte{0xff})) ++at;
    if (at + 4 > bytes.size()) break;
    const auto marker = std::to_integer<unsigned>(bytes[at + 1]);
    if (marker == kScan || marker == kEnd) break;
    at += 2;
    if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd8)) continue;  // these stand alone
    const size_t length = load_be<uint16_t>(bytes, at);
    if (length < 2) fail(name, ": the JPEG file has a segment of length ", length);
    const Bytes segment = bytes.subspan(at, std::min(length, bytes.size() - at)).subspan(2);
    if (is_frame(marker) && segment.size() >= 5) {
      header.height = load_be<uint16_t>(segment, 1);
      header.width = load_be<uint16_t>(segment, 3);
    } else if (marker == kApp1 && starts_with(segment, kExifMark) && header.orientation == 1) {
      header.orientation = exif_orientation(segment);
    }
    at += length;
  }
  if (header.width == 0 && at + 4 > bytes.size()) cut_short(name, "JPEG");
  return header;
}

ImageHeader probe_png(Bytes bytes, std::string_view name) {
  if (bytes.size() < 33) cut_short(name, "PNG");
  if (as_text(bytes.subspan(12, 4)) != "IHDR") fail(name, ": the PNG file does not begin with IHDR");
  ImageHeader header{.format = "png", .height = load_be<uint32_t>(bytes, 20), .width = load_be<uint32_t>(bytes, 16)};
  for (size_t at = 33; at + 12 <= bytes.size();) {
    const size_t length = load_be<uint32_t>(bytes, at);
    if (length > bytes.size() - at - 12) break;
    if (as_text(bytes.subspan(at + 4, 4)) == "eXIf")
      header.orientation = exif_orientation(bytes.subspan(at + 8, length));
    at += 12 + length;
  }
  return header;
}

int webp_orientation(Bytes bytes) {
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const size_t length = load_le<uint32_t>(bytes, at + 4);
    if (length > bytes.size() - at - 8) break;
    if (as_text(bytes.subspan(at, 4)) == "EXIF") return exif_orientation(bytes.subspan(at + 8, length));
    at += 8 + length + (length & 1);
  }
  return 1;
}

ImageHeader probe_webp(Bytes bytes, std::string_view name) {
  if (bytes.size() < 30) cut_short(name, "WebP");
  const std::string_view kind = as_text(bytes.subspan(12, 4));
  ImageHeader header{.format = "webp"};
  if (kind == "VP8 ") {
    header.width = load_le<uint16_t>(bytes, 26) & 0x3fff;
    header.height = load_le<uint16_t>(bytes, 28) & 0x3fff;
  } else if (kind == "VP8L") {
    const auto bits = load_le<uint32_t>(bytes, 21);
    header.width = (bits & 0x3fff) + 1;
    header.height = (bits >> 14 & 0x3fff) + 1;
  } else if (kind == "VP8X") {
    header.width = (load_le<uint32_t>(bytes, 24) & 0xffffff) + 1;
    header.height = (load_le<uint32_t>(bytes, 26) >> 8) + 1;
    header.orientation = webp_orientation(bytes);
  } else {
    fail(name, ": the WebP file begins with an unknown chunk '", shown(kind), "'");
  }
  return header;
}

ImageHeader probe_gif(Bytes bytes, std::string_view name) {
  if (bytes.size() < 10) cut_short(name, "GIF");
  return {.format = "gif", .height = load_le<uint16_t>(bytes, 8), .width = load_le<uint16_t>(bytes, 6)};
}

ImageHeader probe_bmp(Bytes bytes, std::string_view name) {
  if (bytes.size() < 26) cut_short(name, "BMP");
  const auto size = load_le<uint32_t>(bytes, 14);
  if (size == 12) {
    return {.format = "bmp", .height = load_le<uint16_t>(bytes, 20), .width = load_le<uint16_t>(bytes, 18)};
  }
  if (size < 40) fail(name, ": the BMP file has an unknown header of ", size, " bytes");
  const int64_t height = load_le<int32_t>(bytes, 22);  // negative: rows from the top
  return {.format = "bmp", .height = std::abs(height), .width = load_le<int32_t>(bytes, 18)};
}

ImageHeader probe_known(Bytes bytes, std::string_view name) {
  if (starts_with(bytes, "\xff\xd8")) return probe_jpeg(bytes, name);
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return probe_png(bytes, name);
  if (starts_with(bytes, "RIFF") && bytes.size() >= 12 && starts_with(bytes.subspan(8), "WEBP"))
    return probe_webp(bytes, name);
  if (starts_with(bytes, "GIF87a") || starts_with(bytes, "GIF89a")) return probe_gif(bytes, name);
  if (starts_with(bytes, "BM")) return probe_bmp(bytes, name);
  if (bytes.empty()) fail(name, ": the image file is empty");
  if (starts_with(bytes, std::string_view("II*\0", 4)) || starts_with(bytes, std::string_view("MM\0*", 4))) {
    fail(name, ": TIFF is not supported; convert it to PNG or JPEG");
  }
  if (bytes.size() >= 12 && as_text(bytes.subspan(4, 4)) == "ftyp") {
    fail(name, ": ", shown(as_text(bytes.subspan(8, 4))), " (HEIF) is not supported; convert it to PNG or JPEG");
  }
  const std::string kind = content_kind(bytes);
  fail(name, ": not an image of a known format (JPEG, PNG, WebP, BMP)", kind.empty() ? "" : cat(": it is ", kind));
}

}  // namespace

ImageHeader probe_image(Bytes bytes, std::string_view name) {
  const ImageHeader header = probe_known(bytes, name);
  if (header.height <= 0 || header.width <= 0) {
    fail(name, ": the header gives no size (", header.width, " x ", header.height, ")");
  }
  return header;
}

int exif_orientation(Bytes exif) {
  constexpr int kTag = 0x0112, kShort = 3;
  if (starts_with(exif, kExifMark)) exif = exif.subspan(kExifMark.size());
  const bool little = starts_with(exif, "II");
  if (exif.size() < 8 || (!little && !starts_with(exif, "MM"))) return 1;
  const auto u16 = [&](size_t at) { return little ? load_le<uint16_t>(exif, at) : load_be<uint16_t>(exif, at); };
  const size_t directory = little ? load_le<uint32_t>(exif, 4) : load_be<uint32_t>(exif, 4);
  if (directory > exif.size() - 2) return 1;
  const size_t entries = u16(directory);
  for (size_t i = 0; i < entries; ++i) {
    const size_t at = directory + 2 + 12 * i;
    if (at + 12 > exif.size()) return 1;
    if (u16(at) != kTag) continue;
    const int value = u16(at + 2) == kShort ? u16(at + 8) : 1;
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

}  // namespace gigacat::io
