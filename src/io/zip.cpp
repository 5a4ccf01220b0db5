// Reading of zip.
#include <zlib.h>

#include <algorithm>

#include "archive_name.h"
#include "bytes.h"
#include "gigacat/core/error.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/content_kind.h"
#include "zip_records.h"

namespace gigacat::io {

namespace {

struct Directory {
  uint64_t offset, size, entries;
};

// Offset of the end record: the last signature whose comment fits into the file.
size_t find_end(Bytes file, const std::string& path) {
  if (file.size() >= kZipEndSize) {
    const size_t last = file.size() - kZipEndSize;
    const size_t first = last > kZip16Most ? last - kZip16Most : 0;
    for (size_t at = last + 1; at-- > first;) {
      if (load_le<uint32_t>(file, at) == kZipEnd && load_le<uint16_t>(file, at + 20) <= last - at) return at;
    }
  }
  const std::string kind = starts_with(file, "PK") ? "" : content_kind(file);
  fail(path, ": not a zip file", kind.empty() ? ", or cut short (it has no end record)" : ": it is " + kind);
}

Directory read_end(Bytes file, const std::string& path) {
  const size_t end = find_end(file, path);
  if (load_le<uint16_t>(file, end + 4) != load_le<uint16_t>(file, end + 6))
    fail(path, ": part of a zip in several files");
  Directory found{load_le<uint32_t>(file, end + 16), load_le<uint32_t>(file, end + 12),
                  load_le<uint16_t>(file, end + 10)};
  uint64_t directory_end = end;
  if (end >= kZip64LocatorSize && load_le<uint32_t>(file, end - kZip64LocatorSize) == kZip64Locator) {
    const auto at = load_le<uint64_t>(file, end - kZip64LocatorSize + 8);
    if (at > end - kZip64LocatorSize || end - kZip64LocatorSize - at < kZip64EndSize ||
        load_le<uint32_t>(file, at) != kZip64End) {
      fail(path, ": the zip64 end record is not at byte ", at);
    }
    found = {load_le<uint64_t>(file, at + 48), load_le<uint64_t>(file, at + 40), load_le<uint64_t>(file, at + 32)};
    directory_end = at;
  }
  if (found.size > directory_end || found.offset != directory_end - found.size ||
      found.entries > found.size / kZipCentralSize) {
    fail(path, ": the central directory (", found.entries, " members in ", found.size, " bytes at byte ", found.offset,
         ") does not fit into the file");
  }
  return found;
}

// Fields that overflow 32 bits stand in the zip64 extra, in this order, only those that do.
void widen(ZipFile::Entry& entry, Bytes extra, const std::string& path) {
  while (extra.size() >= 4) {
    const auto id = load_le<uint16_t>(extra, 0);
    const size_t size = load_le<uint16_t>(extra, 2);
    if (size > extra.size() - 4) break;
    Bytes values = extra.subspan(4, size);
    for (uint64_t* field : {&entry.size, &entry.packed_size, &entry.header_offset}) {
      if (id != kZip64Extra || *field != kZip32Most) continue;
      if (values.size() < 8) fail(path, ": member '", shown(entry.name), "' has a zip64 field that is too short");
      *field = load_le<uint64_t>(values, 0);
      values = values.subspan(8);
    }
    extra = extra.subspan(4 + size);
  }
}

// One entry of the central directory, which is cut from the front of `rest`.
ZipFile::Entry take_entry(Bytes& rest, const std::string& path) {
  if (rest.size() < kZipCentralSize || load_le<uint32_t>(rest, 0) != kZipCentral) {
    fail(path, ": the central directory is damaged");
  }
  const size_t name = load_le<uint16_t>(rest, 28), extra = load_le<uint16_t>(rest, 30),
               comment = load_le<uint16_t>(rest, 32);
  if (name + extra + comment > rest.size() - kZipCentralSize)
    fail(path, ": the central directory ends inside an entry");
  ZipFile::Entry entry{.name = std::string(as_text(rest.subspan(kZipCentralSize, name))),
                       .header_offset = load_le<uint32_t>(rest, 42),
                       .packed_size = load_le<uint32_t>(rest, 20),
                       .size = load_le<uint32_t>(rest, 24),
                       .method = load_le<uint16_t>(rest, 10),
                       .crc32 = load_le<uint32_t>(rest, 16)};
  widen(entry, rest.subspan(kZipCentralSize + name, extra), path);
  if (load_le<uint16_t>(rest, 8) & kZipEncrypted) fail(path, ": member '", shown(entry.name), "' is encrypted");
  if (entry.method != kZipStored && entry.method != kZipDeflated) {
    fail(path, ": member '", shown(entry.name), "' is packed by method ", entry.method,
         "; pack it with deflate or store it");
  }
  rest = rest.subspan(kZipCentralSize + name + extra + comment);
  return entry;
}

// The packed bytes of a member, found through its local header.
Bytes packed_bytes(Bytes file, const ZipFile::Entry& entry, const std::string& path) {
  const uint64_t at = entry.header_offset;
  if (at > file.size() || file.size() - at < kZipLocalSize || load_le<uint32_t>(file, at) != kZipLocal) {
    fail(path, ": member '", shown(entry.name), "' is not at byte ", at);
  }
  const uint64_t start = at + kZipLocalSize + load_le<uint16_t>(file, at + 26) + load_le<uint16_t>(file, at + 28);
  if (start > file.size() || entry.packed_size > file.size() - start) {
    fail(path, ": member '", shown(entry.name), "' goes beyond the end of the file");
  }
  return file.subspan(start, entry.packed_size);
}

class Inflater {
 public:
  Inflater() { GIGACAT_CHECK(inflateInit2(&stream_, -MAX_WBITS) == Z_OK, "zlib"); }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // True when `packed` is one whole stream that gives exactly out.size() bytes.
  bool run(Bytes packed, std::string& out) {
    constexpr size_t kPiece = 1 << 30;  // zlib counts in 32 bits
    size_t taken = 0, made = 0;
    for (;;) {
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data() + taken));
      stream_.avail_in = static_cast<uInt>(std::min(kPiece, packed.size() - taken));
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + made);
      stream_.avail_out = static_cast<uInt>(std::min(kPiece, out.size() - made));
      const uInt in = stream_.avail_in, room = stream_.avail_out;
      const int state = inflate(&stream_, Z_NO_FLUSH);
      taken += in - stream_.avail_in;
      made += room - stream_.avail_out;
      if (state == Z_STREAM_END) return taken == packed.size() && made == out.size();
      const bool stuck = in == stream_.avail_in && room == stream_.avail_out;
      if (state != Z_OK || stuck) return false;
    }
  }

 private:
  z_stream stream_{};
};

}  // namespace

ZipFile::ZipFile(const fs::path& path) : file_(std::make_shared<MappedFile>(path)) {
  const std::string file = path.string();
  const Directory directory = read_end(file_->bytes(), file);
  Bytes rest = file_->bytes().subspan(directory.offset, directory.size);
  for (uint64_t i = 0; i < directory.entries; ++i) {
    Entry entry = take_entry(rest, file);
    if (entry.name.ends_with('/')) continue;
    entry.name = member_name(file, entry.name);
    entries_.push_back(std::move(entry));
  }
  for (size_t i = 0; i < entries_.size(); ++i) by_name_.emplace_back(entries_[i].name, i);
  std::sort(by_name_.begin(), by_name_.end());
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  const auto twice = std::adjacent_find(by_name_.begin(), by_name_.end(), same);
  if (twice != by_name_.end()) fail(file, ": the member '", shown(twice->first), "' stands twice");
}

int64_t ZipFile::find(std::string_view name) const {
  const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                      [](const auto& item, std::string_view wanted) { return item.first < wanted; });
  return found != by_name_.end() && found->first == name ? static_cast<int64_t>(found->second) : -1;
}

std::string ZipFile::read(const Entry& entry, uint64_t most) const {
  constexpr uint64_t kMostRatio =
      1032;  // deflate's own limit: no honest member is larger, so nothing is allocated for one
  const std::string path = file_->path().string();
  const std::string member = cat(path, ": member '", shown(entry.name), "'");
  const Bytes packed = packed_bytes(file_->bytes(), entry, path);
  if (entry.size > most) fail(member, " has ", entry.size, " bytes, more than the ", most, " allowed");
  std::string out;
  if (entry.method == kZipStored) {
    if (entry.size != packed.size()) fail(member, " is stored but its two sizes differ");
    out = as_text(packed);
  } else {
    if (entry.size / kMostRatio > packed.size())
      fail(member, " says ", entry.size, " bytes, more than its data can hold");
    out.resize(entry.size);
    if (!Inflater().run(packed, out)) fail(member, " is damaged (deflate)");
  }
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size());
  if (crc != entry.crc32) fail(member, " is damaged (CRC-32)");
  return out;
}

std::span<const std::byte> ZipFile::view(const Entry& entry) const {
  const std::string path = file_->path().string();
  const std::string member = cat(path, ": member '", shown(entry.name), "'");
  if (entry.method != kZipStored) fail(member, " is packed; it must be stored");
  const Bytes bytes = packed_bytes(file_->bytes(), entry, path);
  if (entry.size != bytes.size()) fail(member, " is stored but its two sizes differ");
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  if (crc != entry.crc32) fail(member, " is damaged (CRC-32)");
  return bytes;
}

}  // namespace gigacat::io
