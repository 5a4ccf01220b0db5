// Tar and zip archives, read by position: an index is built once, members are read in any order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gigacat/core/files.h"

namespace gigacat::io {

struct Member {
  std::string name;
  uint64_t offset = 0;  // of the data in the archive
  uint64_t size = 0;
};

// Members of a tar file (ustar, GNU long names, pax path and size); regular files alone: links, devices and folders are
// skipped, a leading "./" is dropped. A truncated last member is left out and said in `*fault` (without it: logged).
// Errors: Error naming file, offset and fault for a header that is not tar, a bad checksum, sizes beyond 1 TiB, sparse
// members, and names that are absolute or hold "..".
std::vector<Member> index_tar(const fs::path& path, std::string* fault = nullptr);

// Members of a zip file (zip64 too), folders left out. Stored and deflated members.
class ZipFile {
 public:
  // Errors: Error naming file and fault: no zip or cut short, a damaged directory, an encrypted member or one packed by
  // another method, a name that stands twice, is absolute or holds "..".
  explicit ZipFile(const fs::path& path);
  // A member as the central directory lists it.
  struct Entry {
    std::string name;
    uint64_t header_offset, packed_size, size;
    uint16_t method;
    uint32_t crc32;
  };
  const std::vector<Entry>& entries() const { return entries_; }
  // Index of a name, or -1.
  int64_t find(std::string_view name) const;
  // Content, checked against its CRC-32; thread-safe. Errors: Error for a bad member or one larger than `most`.
  std::string read(const Entry& entry, uint64_t most = 1ull << 32) const;
  // The mapped bytes of a member that is stored, checked against its CRC-32; they live as long as mapping().
  // Errors: Error for a bad member and one that is packed.
  std::span<const std::byte> view(const Entry& entry) const;
  std::shared_ptr<const MappedFile> mapping() const { return file_; }

 private:
  std::shared_ptr<MappedFile> file_;
  std::vector<Entry> entries_;
  std::vector<std::pair<std::string, size_t>> by_name_;
};

// Writes a tar of regular files (ustar, pax headers for long names), member by member.
// Errors: Error of the sink, and for a name that index_tar would refuse.
class TarWriter {
 public:
  explicit TarWriter(FileWriter& out) : out_(out) {}
  void add(std::string_view name, std::string_view content);
  // The two closing blocks; must be called.
  void finish();

 private:
  FileWriter& out_;
};

// Writes a zip with stored members (zip64 where needed); the base of npz.
// Errors: Error of the sink, and for a name that ZipFile would refuse; a name must not be given twice.
class ZipWriter {
 public:
  explicit ZipWriter(FileWriter& out) : out_(out) {}
  void add(std::string_view name, std::string_view content);
  // For a member too large for memory: announce its size, append exactly that many bytes, end. Its CRC-32 follows the
  // data. Errors: InternalError for more or fewer bytes than announced.
  void begin(std::string_view name, uint64_t size);
  void append(const void* data, size_t bytes);
  void end();
  // The central directory; must be called.
  void finish();

 private:
  struct Written {
    std::string name;
    uint64_t offset, size;
    uint32_t crc;
    bool descriptor;
  };
  FileWriter& out_;
  std::vector<Written> written_;
  uint64_t open_done_ = 0;
  bool open_ = false;
};

}  // namespace gigacat::io
