// The 512-byte header of a tar member. Source: POSIX pax interchange format.
#pragma once

#include "bytes.h"

namespace gigacat::io {

inline constexpr size_t kTarBlock = 512;

struct TarField {
  size_t at, size;
};
inline constexpr TarField kTarName{0, 100}, kTarMode{100, 8}, kTarUid{108, 8}, kTarGid{116, 8}, kTarSize{124, 12},
    kTarTime{136, 12}, kTarChecksum{148, 8}, kTarType{156, 1}, kTarMagic{257, 6}, kTarVersion{263, 2},
    kTarPrefix{345, 155};

inline Bytes field(Bytes block, TarField where) { return block.subspan(where.at, where.size); }

// A field's text up to its first NUL.
inline std::string_view text_of(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  return text.substr(0, text.find('\0'));
}

// Sum of the block's bytes, each read as Byte, the checksum itself counted as blanks.
template <class Byte>
int64_t tar_checksum(Bytes block) {
  int64_t sum = 0;
  for (size_t i = 0; i < kTarBlock; ++i) {
    const bool own = i - kTarChecksum.at < kTarChecksum.size;
    sum += own ? ' ' : static_cast<Byte>(std::to_integer<unsigned char>(block[i]));
  }
  return sum;
}

}  // namespace gigacat::io
