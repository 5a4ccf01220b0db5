#include "gigacat/core/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ios>

#include "gigacat/core/error.h"
#include "gigacat/core/host.h"
#include "gigacat/core/log.h"

namespace gigacat {
namespace {

constexpr size_t kBuffer = size_t{1} << 20;

// The system's reason with a next step where there is one.
std::string reason(int code) {
  const std::string text = std::strerror(code);
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return text + "; free space or choose another folder";
    case EACCES:
    case EPERM:
    case EROFS:
      return text + "; check its permissions";
    case EMFILE:
    case ENFILE:
      return text + "; raise the limit with ulimit -n";
    default:
      return text;
  }
}

int open_or_fail(const fs::path& path, int flags, const char* purpose) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) fail("cannot open ", path.string(), " for ", purpose, ": ", reason(errno));
  return fd;
}

void write_all(int fd, const char* data, size_t bytes, const fs::path& path) {
  while (bytes > 0) {
    const ssize_t written = ::write(fd, data, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot write ", path.string(), ": ", reason(errno));
    data += written;
    bytes -= static_cast<size_t>(written);
  }
}

void sync_or_fail(int fd, const fs::path& path) {
  // Pipes, terminals and some network file systems have nothing to sync and say EINVAL.
  if (::fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP) {
    fail("cannot sync ", path.string(), " to disk: ", reason(errno));
  }
}

// Closes at the end of a scope, whatever ends it.
struct Descriptor {
  int fd;
  ~Descriptor() { ::close(fd); }
};

// A regular file open for reading, and its size.
struct Opened {
  Descriptor descriptor;
  uint64_t size;
};

// Without O_NONBLOCK a pipe in the place of a file would block the program.
Opened open_regular(const fs::path& path) {
  const int fd = open_or_fail(path, O_RDONLY | O_NONBLOCK, "reading");
  struct stat info {};
  const bool known = ::fstat(fd, &info) == 0;
  if (known && S_ISREG(info.st_mode)) return {{fd}, static_cast<uint64_t>(info.st_size)};
  const int code = errno;
  ::close(fd);
  if (!known) fail("cannot read ", path.string(), ": ", reason(code));
  fail("cannot read ", path.string(), S_ISDIR(info.st_mode) ? ": it is a folder" : ": it is not a regular file");
}

// A link is written through, as an editor would; a device or folder is never replaced.
fs::path final_target(const fs::path& path) {
  std::error_code ignored_when_missing;
  const auto type = fs::status(path, ignored_when_missing).type();
  if (type == fs::file_type::not_found || type == fs::file_type::none) return path;
  if (type != fs::file_type::regular) fail("cannot write ", path.string(), ": it is not a regular file");
  return fs::is_symlink(path) ? fs::canonical(path) : path;
}

// Before the number of the process: machines and containers that share the folder number theirs each on its own.
const std::string& temporary_prefix() {
  static const std::string prefix = [] {
    std::error_code ignored;
    const std::string place = host_name() + fs::read_symlink("/proc/self/ns/pid", ignored).string();
    return cat(".gigacat-", std::hex, crc32c(std::as_bytes(std::span(place))), "-");
  }();
  return prefix;
}

// Short, so that it is a legal name wherever the final one is.
fs::path temporary_beside(const fs::path& path) {
  static std::atomic<uint64_t> count{0};
  return path.parent_path() / cat(temporary_prefix(), ::getpid(), "-", count++, ".tmp");
}

void rename_durably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail("cannot write ", to.string(), ": ", reason(errno));
  sync_folder(to.has_parent_path() ? to.parent_path() : fs::path("."));
}

}  // namespace

void write_atomically(const fs::path& path, std::string_view bytes) {
  write_atomically(path, [bytes](FileWriter& out) { out.write(bytes); });
}

void write_atomically(const fs::path& path, const std::function<void(FileWriter&)>& fill) {
  const fs::path target = final_target(path);
  const fs::path temporary = temporary_beside(target);
  try {
    {
      FileWriter out(temporary);
      fill(out);
      out.flush(/*durable=*/true);
    }
    rename_durably(temporary, target);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

FileWriter::FileWriter(const fs::path& path, bool append) : path_(path) {
  fd_ = open_or_fail(path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), "writing");
  const off_t end = append ? ::lseek(fd_, 0, SEEK_END) : 0;
  position_ = end > 0 ? static_cast<uint64_t>(end) : 0;
  buffer_.reserve(kBuffer);
}

FileWriter::~FileWriter() {
  try {
    flush();
  } catch (const Error& error) {
    log::warn(error.what());
  }
  ::close(fd_);
}

void FileWriter::write(const void* data, size_t bytes) {
  if (buffer_.size() + bytes > kBuffer) flush();
  if (bytes >= kBuffer) {
    write_all(fd_, static_cast<const char*>(data), bytes, path_);
  } else {
    buffer_.append(static_cast<const char*>(data), bytes);
  }
  position_ += bytes;
}

void FileWriter::flush(bool durable) {
  // Emptied first: after a failure the destructor must not write a part twice.
  std::string pending;
  pending.swap(buffer_);
  write_all(fd_, pending.data(), pending.size(), path_);
  pending.clear();
  buffer_.swap(pending);
  if (durable) sync_or_fail(fd_, path_);
}

std::string read_file(const fs::path& path, uint64_t most) {
  const Opened file = open_regular(path);
  const auto too_large = [&](uint64_t size) { return size > most; };
  if (too_large(file.size)) fail("cannot read ", path.string(), ": larger than ", human_bytes(double(most)));
  std::string content;
  content.reserve(file.size);
  // Sizes of files in /proc are 0 and those of growing files are old: what counts is what read() gives.
  std::string part(std::min<uint64_t>(file.size + 1, kBuffer), '\0');
  for (;;) {
    const ssize_t got = ::read(file.descriptor.fd, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read ", path.string(), ": ", reason(errno));
    if (got == 0) return content;
    content.append(part.data(), static_cast<size_t>(got));
    if (too_large(content.size())) fail("cannot read ", path.string(), ": larger than ", human_bytes(double(most)));
  }
}

void remove_stale_temporaries(const fs::path& folder) {
  const std::string& prefix = temporary_prefix();
  std::error_code error;
  for (fs::directory_iterator at(folder.empty() ? "." : folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(".tmp")) continue;
    const pid_t process = std::atoi(name.c_str() + prefix.size());
    if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH) ::unlink(at->path().c_str());
  }
}

void sync_folder(const fs::path& folder) {
  const Descriptor descriptor{open_or_fail(folder, O_RDONLY | O_DIRECTORY, "syncing")};
  sync_or_fail(descriptor.fd, folder);
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const Opened file = open_regular(path);
  size_ = file.size;
  if (size_ == 0) return;
  void* place = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.descriptor.fd, 0);
  if (place == MAP_FAILED) fail("cannot map ", path.string(), " into memory: ", reason(errno));
  data_ = static_cast<const std::byte*>(place);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace gigacat
