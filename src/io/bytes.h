// Integers in byte buffers, and the view casts between text and bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace gigacat::io {

static_assert(std::endian::native == std::endian::little, "the file formats here are read on little-endian machines");

using Bytes = std::span<const std::byte>;

inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// The little-endian T at `at`; the caller has checked that it lies within.
template <class T>
T load_le(Bytes bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

// The big-endian T at `at`; the caller has checked that it lies within.
template <class T>
T load_be(Bytes bytes, size_t at) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value << 8 | std::to_integer<T>(bytes[at + i]));
  return value;
}

inline bool starts_with(Bytes bytes, std::string_view prefix) {
  return as_text(bytes).substr(0, prefix.size()) == prefix;
}

template <class T>
void append_le(std::string& out, T value) {
  static_assert(std::is_arithmetic_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// a * b, or nothing when it does not fit.
inline std::optional<int64_t> checked_mul(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// A name from a file, fit for an error line: control characters replaced, at most 120 bytes.
inline std::string shown(std::string_view text) {
  constexpr size_t kMost = 120;
  std::string out(text.substr(0, kMost));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < ' ' || c == 127) c = '?';
  }
  return text.size() > kMost ? out + "..." : out;
}

}  // namespace gigacat::io
