// Images and broken images for the tests.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "gigacat/io/image.h"
#include "gigacat/io/safetensors.h"
#include "helpers.h"

namespace gigacat::io {

inline Image image_of(const TensorView& view) {
  const auto* data = reinterpret_cast<const uint8_t*>(view.bytes.data());
  return {view.shape.at(0), view.shape.at(1), view.shape.at(2), {data, data + view.bytes.size()}};
}

inline Image decode(std::string_view file, const DecodeOptions& options = {}) {
  return decode_image(bytes_of(file), "FILE", options);
}

// Pixels differ from their neighbours, smoothly enough for JPEG.
inline Image gradient(int64_t height, int64_t width, int64_t channels) {
  Image image{height, width, channels, {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t ramps[] = {255 * y / height, 255 * x / width, 255 * (x + y) / (height + width), 255};
      for (int64_t c = 0; c < channels; ++c) image.pixels.push_back(static_cast<uint8_t>(ramps[c]));
    }
  }
  return image;
}

inline int largest_difference(const Image& a, const Image& b) {
  if (a.height != b.height || a.width != b.width || a.channels != b.channels) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

inline std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

inline std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string summed = type + data;
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(summed.data()), static_cast<uInt>(summed.size()));
  return big_endian(static_cast<uint32_t>(data.size())) + summed + big_endian(static_cast<uint32_t>(crc));
}

// A PNG of `rows` (each with its filter byte) as they are.
inline std::string png_of(uint32_t height, uint32_t width, char depth, char color, const std::string& rows,
                          const std::string& more_chunks = "", char interlace = 0) {
  std::string packed(compressBound(static_cast<uLong>(rows.size())), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()),
           static_cast<uLong>(rows.size()));
  packed.resize(size);
  const std::string header = big_endian(width) + big_endian(height) + depth + color + std::string(2, '\0') + interlace;
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + more_chunks + png_chunk("IDAT", packed) +
         png_chunk("IEND", "");
}

// An EXIF block with an orientation alone, in big-endian order.
inline std::string exif(char orientation) {
  return std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) + orientation + std::string(6, '\0');
}

// `jpeg` with a segment put in front.
inline std::string with_segment(const std::string& jpeg, char marker, const std::string& data) {
  const size_t length = data.size() + 2;
  return jpeg.substr(0, 2) + '\xff' + marker + static_cast<char>(length >> 8) + static_cast<char>(length) + data +
         jpeg.substr(2);
}

// An ICC profile of `size` bytes, with all that its header must have, of one tag that is hard to pack.
inline std::string profile(size_t size, const std::string& space = "RGB ") {
  constexpr size_t kTags = 144;  // bytes of the header and a list of one tag
  std::string text(size, '\0');
  uint32_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  const std::string white("\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d", 12);
  std::string head = big_endian(static_cast<uint32_t>(size)) + std::string(4, '\0') + std::string("\2\0\0\0", 4) +
                     "mntr" + space + "XYZ " + std::string(12, '\0') + "acsp";
  head += std::string(68 - head.size(), '\0') + white;
  head += std::string(128 - head.size(), '\0') + big_endian(1) + "desc" + big_endian(kTags) +
          big_endian(static_cast<uint32_t>(size - kTags));
  return text.replace(0, head.size(), head);
}

// The encoded inputs of the golden case "decode" by name ("jpeg_420", ...).
inline std::map<std::string, std::string> golden_files() {
  const SafetensorsFile file(golden("cases/eval/decode/data.safetensors"));
  std::map<std::string, std::string> files;
  for (const auto& [name, view] : file.tensors()) {
    if (!name.starts_with("input.")) continue;
    files[name.substr(6)] = std::string(reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size());
  }
  return files;
}

}  // namespace gigacat::io
