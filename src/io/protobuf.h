// The four field encodings of protobuf that event files need. Source: protobuf.dev, "Encoding".
#pragma once

#include <string>
#include <string_view>

#include "bytes.h"

namespace gigacat::io::proto {

enum class Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

inline void add_varint(std::string& out, uint64_t value) {
  for (; value >= 128; value >>= 7) out += static_cast<char>(value | 128);
  out += static_cast<char>(value);
}

inline void add_key(std::string& out, int field, Wire wire) {
  add_varint(out, static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire));
}

inline void add_integer(std::string& out, int field, int64_t value) {
  add_key(out, field, Wire::varint);
  add_varint(out, static_cast<uint64_t>(value));
}

inline void add_double(std::string& out, int field, double value) {
  add_key(out, field, Wire::fixed64);
  append_le(out, value);
}

inline void add_float(std::string& out, int field, float value) {
  add_key(out, field, Wire::fixed32);
  append_le(out, value);
}

inline void add_bytes(std::string& out, int field, std::string_view value) {
  add_key(out, field, Wire::bytes);
  add_varint(out, value.size());
  out += value;
}

}  // namespace gigacat::io::proto
