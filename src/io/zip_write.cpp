// Writing of zip: members are stored, times fixed, so that the same members give the same file.
#include <zlib.h>

#include <algorithm>

#include "archive_name.h"
#include "bytes.h"
#include "gigacat/core/error.h"
#include "gigacat/io/archive.h"
#include "zip_records.h"

namespace gigacat::io {

namespace {

constexpr uint16_t kVersion = 20, kVersion64 = 45;
constexpr uint16_t kMadeByUnix = 3 << 8;
constexpr uint32_t kDosTime = 0x21u << 16;  // 1 January 1980, 0:00
constexpr uint32_t kFileMode = 0100644u << 16;

bool is_large(uint64_t value) { return value >= kZip32Most; }

uint32_t narrow(uint64_t value) { return is_large(value) ? kZip32Most : static_cast<uint32_t>(value); }

uint16_t flags_of(std::string_view name, bool descriptor) {
  const bool ascii = std::all_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
  return static_cast<uint16_t>((ascii ? 0 : kZipUtf8) | (descriptor ? kZipHasDescriptor : 0));
}

// What the local header and the central entry have in common: version needed to the length of the extra field.
void append_common(std::string& out, std::string_view name, uint16_t flags, uint32_t crc, uint32_t size, bool large,
                   size_t extra) {
  append_le<uint16_t>(out, large ? kVersion64 : kVersion);
  append_le<uint16_t>(out, flags);
  append_le<uint16_t>(out, kZipStored);
  append_le<uint32_t>(out, kDosTime);
  append_le<uint32_t>(out, crc);
  append_le<uint32_t>(out, size);
  append_le<uint32_t>(out, size);
  append_le<uint16_t>(out, static_cast<uint16_t>(name.size()));
  append_le<uint16_t>(out, static_cast<uint16_t>(extra));
}

std::string extra_field(std::initializer_list<uint64_t> values) {
  std::string out;
  append_le<uint16_t>(out, kZip64Extra);
  append_le<uint16_t>(out, static_cast<uint16_t>(8 * values.size()));
  for (uint64_t value : values) append_le<uint64_t>(out, value);
  return out;
}

// With a descriptor, checksum and sizes follow the data, and stand as zero here.
std::string local_header(std::string_view name, uint64_t size, uint32_t crc, bool descriptor) {
  const bool large = is_large(size);
  const uint64_t said = descriptor ? 0 : size;
  const std::string extra = large ? extra_field({said, said}) : "";
  std::string out;
  append_le<uint32_t>(out, kZipLocal);
  append_common(out, name, flags_of(name, descriptor), descriptor ? 0 : crc, large ? kZip32Most : narrow(said), large,
                extra.size());
  return out.append(name).append(extra);
}

std::string checked_name(std::string_view name) {
  GIGACAT_CHECK(name.size() < kZip16Most, "a name of ", name.size(), " bytes");
  return member_name("a new zip file", name);
}

std::string end_records(uint64_t count, uint64_t offset, uint64_t size) {
  std::string out;
  const bool large = count >= kZip16Most || is_large(offset) || is_large(size);
  if (large) {
    append_le<uint32_t>(out, kZip64End);
    append_le<uint64_t>(out, kZip64EndSize - 12);
    append_le<uint16_t>(out, kMadeByUnix | kVersion64);
    append_le<uint16_t>(out, kVersion64);
    append_le<uint64_t>(out, 0);  // numbers of disks
    for (uint64_t value : {count, count, size, offset}) append_le<uint64_t>(out, value);
    append_le<uint32_t>(out, kZip64Locator);
    append_le<uint32_t>(out, 0);
    append_le<uint64_t>(out, offset + size);
    append_le<uint32_t>(out, 1);
  }
  const auto short_count = static_cast<uint16_t>(std::min<uint64_t>(count, kZip16Most));
  append_le<uint32_t>(out, kZipEnd);
  append_le<uint32_t>(out, 0);  // numbers of disks
  append_le<uint16_t>(out, short_count);
  append_le<uint16_t>(out, short_count);
  append_le<uint32_t>(out, narrow(size));
  append_le<uint32_t>(out, narrow(offset));
  append_le<uint16_t>(out, 0);
  return out;
}

}  // namespace

void ZipWriter::add(std::string_view name, std::string_view content) {
  GIGACAT_CHECK(!open_, "member ", name);
  const auto crc = static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
  written_.push_back({checked_name(name), out_.position(), content.size(), crc, false});
  out_.write(local_header(written_.back().name, content.size(), crc, false));
  out_.write(content);
}

void ZipWriter::begin(std::string_view name, uint64_t size) {
  GIGACAT_CHECK(!open_, "member ", name);
  written_.push_back({checked_name(name), out_.position(), size, 0, true});
  out_.write(local_header(written_.back().name, size, 0, true));
  open_ = true;
  open_done_ = 0;
}

void ZipWriter::append(const void* data, size_t bytes) {
  GIGACAT_CHECK(open_ && bytes <= written_.back().size - open_done_, "more bytes than announced");
  uint32_t& crc = written_.back().crc;
  crc = static_cast<uint32_t>(crc32_z(crc, static_cast<const Bytef*>(data), bytes));
  out_.write(data, bytes);
  open_done_ += bytes;
}

void ZipWriter::end() {
  const Written& member = written_.back();
  GIGACAT_CHECK(open_ && open_done_ == member.size, "member ", member.name, " has ", open_done_, " of ", member.size,
                " bytes");
  std::string out;
  append_le<uint32_t>(out, kZipDescriptor);
  append_le<uint32_t>(out, member.crc);
  for (int i = 0; i < 2; ++i) {
    if (is_large(member.size))
      append_le<uint64_t>(out, member.size);
    else
      append_le<uint32_t>(out, static_cast<uint32_t>(member.size));
  }
  out_.write(out);
  open_ = false;
}

void ZipWriter::finish() {
  GIGACAT_CHECK(!open_, "finish() inside a member");
  const uint64_t start = out_.position();
  for (const Written& member : written_) {
    const bool large = is_large(member.size) || is_large(member.offset);
    // All three values stand in the extra field when one must: a field that says "see there" is looked up there.
    const std::string extra = large ? extra_field({member.size, member.size, member.offset}) : "";
    std::string out;
    append_le<uint32_t>(out, kZipCentral);
    append_le<uint16_t>(out, kMadeByUnix | kVersion64);
    append_common(out, member.name, flags_of(member.name, member.descriptor), member.crc,
                  large ? kZip32Most : static_cast<uint32_t>(member.size), large, extra.size());
    append_le<uint16_t>(out, 0);  // comment
    append_le<uint16_t>(out, 0);  // disk
    append_le<uint16_t>(out, 0);  // binary data
    append_le<uint32_t>(out, kFileMode);
    append_le<uint32_t>(out, large ? kZip32Most : static_cast<uint32_t>(member.offset));
    out_.write(out.append(member.name).append(extra));
  }
  out_.write(end_records(written_.size(), start, out_.position() - start));
}

}  // namespace gigacat::io
