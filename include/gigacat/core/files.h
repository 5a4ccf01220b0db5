// Files that are never seen half-written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace gigacat {

namespace fs = std::filesystem;

// Writes `bytes` to a temporary file beside `path`, fsyncs it, renames it over `path` and fsyncs the folder.
// A link is written through. Errors: Error with the path and the system's reason, also when `path` is a folder or a
// device; what was at `path` stays.
void write_atomically(const fs::path& path, std::string_view bytes);
// The same, the content streamed by `fill` through a FILE-like sink.
class FileWriter;
void write_atomically(const fs::path& path, const std::function<void(FileWriter&)>& fill);

// Removes what write_atomically has left directly in `folder` where its process was killed: temporary files of
// processes of this machine that are gone. A folder that cannot be read is left as it is.
void remove_stale_temporaries(const fs::path& folder);

// A file open for writing whose every short write is an error. Used inside write_atomically and for plain streams.
class FileWriter {
 public:
  // Creates or truncates. Errors: Error.
  explicit FileWriter(const fs::path& path, bool append = false);
  // Flushes; a failure is logged. Call flush() where it must not be missed.
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  // Buffered bytes to the kernel; with `durable` to the disk.
  void flush(bool durable = false);
  uint64_t position() const { return position_; }

 private:
  fs::path path_;
  int fd_ = -1;
  uint64_t position_ = 0;
  std::string buffer_;
};

// Whole content. Errors: Error when it cannot be read, is no regular file, or is larger than `most` bytes.
std::string read_file(const fs::path& path, uint64_t most = UINT64_MAX);

// Syncs a folder's entries to disk. Errors: Error.
void sync_folder(const fs::path& folder);

// A file mapped read-only into memory.
class MappedFile {
 public:
  // Errors: Error when it cannot be opened or mapped, or is no regular file. An empty file maps to an empty span.
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// CRC-32C of `bytes`, continuing from `crc`.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t crc = 0);

// Lower-case SHA-256 of the bytes, of a file.
std::string sha256(std::span<const std::byte> bytes);
std::string sha256_file(const fs::path& path);

}  // namespace gigacat
