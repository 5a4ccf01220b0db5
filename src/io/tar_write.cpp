// Writing of tar: the files are the same for the same members, so times, owners and modes are fixed.
#include <algorithm>
#include <cstdio>

#include "archive_name.h"
#include "gigacat/core/error.h"
#include "gigacat/io/archive.h"
#include "tar_block.h"

namespace gigacat::io {

namespace {

constexpr uint64_t kMostOctalSize = 077777777777;

void put(std::string& block, TarField where, std::string_view text) {
  GIGACAT_CHECK(text.size() <= where.size, "tar field");
  block.replace(where.at, text.size(), text);
}

// Zero-padded octal digits and a NUL fill the field.
void put_octal(std::string& block, TarField where, uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*llo", static_cast<int>(where.size - 1), static_cast<unsigned long long>(value));
  put(block, where, text);
}

std::string header(std::string_view name, uint64_t size, char type) {
  std::string block(kTarBlock, '\0');
  put(block, kTarName, name);
  put_octal(block, kTarMode, 0644);
  put_octal(block, kTarUid, 0);
  put_octal(block, kTarGid, 0);
  put_octal(block, kTarSize, size);
  put_octal(block, kTarTime, 0);
  put(block, kTarType, std::string_view(&type, 1));
  put(block, kTarMagic, "ustar");
  put(block, kTarVersion, "00");
  // Six digits, NUL, blank.
  const auto sum = static_cast<uint64_t>(tar_checksum<unsigned char>(as_bytes(block)));
  put_octal(block, {kTarChecksum.at, kTarChecksum.size - 1}, sum);
  block[kTarChecksum.at + kTarChecksum.size - 1] = ' ';
  return block;
}

// "LENGTH KEY=VALUE\n", the length counting its own digits.
std::string pax_record(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (length != rest + std::to_string(length).size()) ++length;
  return cat(length, " ", key, "=", value, "\n");
}

void write_padded(FileWriter& out, std::string_view content) {
  out.write(content);
  out.write(std::string((kTarBlock - content.size() % kTarBlock) % kTarBlock, '\0'));
}

}  // namespace

void TarWriter::add(std::string_view given, std::string_view content) {
  const std::string name = member_name("a new tar file", given);
  std::string pax;
  if (name.size() > kTarName.size) pax += pax_record("path", name);
  if (content.size() > kMostOctalSize) pax += pax_record("size", std::to_string(content.size()));
  if (!pax.empty()) {
    out_.write(header("pax", pax.size(), 'x'));
    write_padded(out_, pax);
  }
  out_.write(header(name.substr(0, kTarName.size), std::min<uint64_t>(content.size(), kMostOctalSize), '0'));
  write_padded(out_, content);
}

void TarWriter::finish() { out_.write(std::string(2 * kTarBlock, '\0')); }

}  // namespace gigacat::io
