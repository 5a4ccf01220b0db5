// Signatures and layouts of zip. Source: PKWARE APPNOTE 6.3.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gigacat::io {

inline constexpr uint32_t kZipLocal = 0x04034b50, kZipDescriptor = 0x08074b50, kZipCentral = 0x02014b50,
                          kZipEnd = 0x06054b50, kZip64End = 0x06064b50, kZip64Locator = 0x07064b50;
// Bytes of each record without its variable parts.
inline constexpr size_t kZipLocalSize = 30, kZipCentralSize = 46, kZipEndSize = 22, kZip64EndSize = 56,
                        kZip64LocatorSize = 20;
inline constexpr uint16_t kZipStored = 0, kZipDeflated = 8;
inline constexpr uint16_t kZipEncrypted = 1, kZipHasDescriptor = 1 << 3, kZipUtf8 = 1 << 11;
inline constexpr uint16_t kZip64Extra = 1;
inline constexpr uint32_t kZip32Most = 0xffffffff;  // in a 32-bit field: see the zip64 record
inline constexpr uint16_t kZip16Most = 0xffff;

}  // namespace gigacat::io
