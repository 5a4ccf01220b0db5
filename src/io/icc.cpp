// Sources: PNG specification (iCCP), ICC.1 annex B.4 (JPEG, APP2), WebP container specification (VP8X, ICCP).
#include "gigacat/io/icc.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <map>

#include "bytes.h"
#include "gigacat/core/error.h"

namespace gigacat::io {
namespace {

constexpr size_t kMostProfile = 16 << 20;  // bytes
constexpr std::string_view kPngMark = "\x89PNG\r\n\x1a\n", kJpegMark = "\xFF\xD8";
constexpr std::string_view kJpegName{"ICC_PROFILE\0", 12};

std::string be32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string le(uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string inflated(std::string_view packed) {
  std::string out;
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return "";
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  char block[1 << 14];
  int state = Z_OK;
  while (state == Z_OK && out.size() <= kMostProfile) {
    stream.next_out = reinterpret_cast<Bytef*>(block);
    stream.avail_out = sizeof block;
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(block, sizeof block - stream.avail_out);
    if (stream.avail_in == 0 && stream.avail_out > 0 && state == Z_OK) break;  // cut short
  }
  inflateEnd(&stream);
  return state == Z_STREAM_END && out.size() <= kMostProfile ? out : "";
}

std::string deflated(const std::string& plain) {
  uLongf size = compressBound(plain.size());
  std::string out(size, '\0');
  const int state =
      compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(plain.data()), plain.size());
  GIGACAT_CHECK(state == Z_OK, "zlib ", state);
  out.resize(size);
  return out;
}

std::string from_png(Bytes file) {
  for (size_t at = 8; at + 12 <= file.size();) {
    const size_t size = load_be<uint32_t>(file, at);
    if (size > file.size() - at - 12) return "";
    const std::string_view kind = as_text(file.subspan(at + 4, 4)), body = as_text(file.subspan(at + 8, size));
    if (kind == "IDAT") return "";
    const size_t name = body.find('\0');
    if (kind == "iCCP" && name != std::string_view::npos && name + 2 <= body.size())
      return inflated(body.substr(name + 2));
    at += size + 12;
  }
  return "";
}

// Parts by their number, in APP2 segments.
std::string from_jpeg(Bytes file) {
  std::map<int, std::string_view> parts;
  for (size_t at = 2; at + 4 <= file.size();) {
    const auto mark = std::to_integer<unsigned>(file[at + 1]);
    if (std::to_integer<unsigned>(file[at]) != 0xFF || mark == 0xDA || mark == 0xD9) break;
    const size_t size = load_be<uint16_t>(file, at + 2);
    if (size < 2 || size > file.size() - at - 2) return "";
    const std::string_view body = as_text(file.subspan(at + 4, size - 2));
    if (mark == 0xE2 && body.starts_with(kJpegName) && body.size() > kJpegName.size() + 2)
      parts[static_cast<unsigned char>(body[kJpegName.size()])] = body.substr(kJpegName.size() + 2);
    at += size + 2;
  }
  std::string profile;
  int expected = 1;
  for (const auto& [number, part] : parts) {
    if (number != expected++) return "";
    profile += part;
  }
  return profile.size() <= kMostProfile ? profile : "";
}

std::string from_webp(Bytes file) {
  for (size_t at = 12; at + 8 <= file.size();) {
    const size_t size = load_le<uint32_t>(file, at + 4);
    if (size > file.size() - at - 8) return "";
    if (as_text(file.subspan(at, 4)) == "ICCP")
      return size <= kMostProfile ? std::string(as_text(file.subspan(at + 8, size))) : "";
    at += 8 + size + size % 2;
  }
  return "";
}

std::string into_png(const std::string& file, const std::string& profile) {
  constexpr size_t kAfterHeader = 8 + 25;
  const std::string body = std::string("iCCPICC profile\0\0", 17) + deflated(profile);
  const uint32_t crc =
      static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
  return file.substr(0, kAfterHeader) + be32(static_cast<uint32_t>(body.size() - 4)) + body + be32(crc) +
         file.substr(kAfterHeader);
}

std::string into_jpeg(const std::string& file, const std::string& profile) {
  constexpr size_t kMostPart = 65519;
  const size_t count = (profile.size() + kMostPart - 1) / kMostPart;
  if (count > 255) return file;
  std::string segments;
  for (size_t i = 0; i < count; ++i) {
    const std::string part = profile.substr(i * kMostPart, kMostPart);
    const size_t size = 2 + kJpegName.size() + 2 + part.size();
    segments += std::string("\xFF\xE2") + static_cast<char>(size >> 8) + static_cast<char>(size);
    segments += std::string(kJpegName) + static_cast<char>(i + 1) + static_cast<char>(count) + part;
  }
  return file.substr(0, 2) + segments + file.substr(2);
}

std::string webp_chunk(const std::string& kind, const std::string& body) {
  return kind + le(static_cast<uint32_t>(body.size()), 4) + body + std::string(body.size() % 2, '\0');
}

// A simple file becomes an extended one; the size and alpha of the picture go into its header.
std::string into_webp(const std::string& file, const std::string& profile) {
  constexpr uint32_t kIcc = 0x20, kAlpha = 0x10;
  const std::span<const char> all(file);
  const Bytes bytes = std::as_bytes(all);
  const std::string kind = file.substr(12, 4);
  std::string chunks = file.substr(12);
  uint32_t flags = kIcc, width = 0, height = 0;
  if (kind == "VP8X") {
    flags |= static_cast<unsigned char>(file[20]);
    width = load_le<uint32_t>(bytes, 24) & 0xFFFFFF;
    height = load_le<uint32_t>(bytes, 26) >> 8;
    chunks = file.substr(30);
  } else if (kind == "VP8L") {
    const uint32_t packed = load_le<uint32_t>(bytes, 21);
    width = packed & 0x3FFF;
    height = packed >> 14 & 0x3FFF;
    if (packed >> 28 & 1) flags |= kAlpha;
  } else {
    width = (load_le<uint16_t>(bytes, 26) & 0x3FFF) - 1u;
    height = (load_le<uint16_t>(bytes, 28) & 0x3FFF) - 1u;
  }
  const std::string body =
      webp_chunk("VP8X", le(flags, 4) + le(width, 3) + le(height, 3)) + webp_chunk("ICCP", profile) + chunks;
  return "RIFF" + le(static_cast<uint32_t>(body.size() + 4), 4) + "WEBP" + body;
}

bool is_webp(std::string_view file) {
  return file.size() >= 34 && file.substr(0, 4) == "RIFF" && file.substr(8, 4) == "WEBP";
}

}  // namespace

std::string icc_profile(std::span<const std::byte> file) {
  const std::string_view text = as_text(file);
  if (text.starts_with(kPngMark)) return from_png(file);
  if (text.starts_with(kJpegMark)) return from_jpeg(file);
  return is_webp(text) ? from_webp(file) : "";
}

std::string with_icc_profile(std::string file, const std::string& profile) {
  if (profile.empty()) return file;
  if (file.starts_with(kPngMark)) return into_png(file, profile);
  if (file.starts_with(kJpegMark)) return into_jpeg(file, profile);
  return is_webp(file) ? into_webp(file, profile) : file;
}

}  // namespace gigacat::io
