#include "data/webdataset/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "gigacat/core/error.h"

namespace gigacat::data {

class ShardFiles::Descriptor {
 public:
  explicit Descriptor(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) fail("cannot open ", path, ": ", std::strerror(errno));
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

ShardFiles::ShardFiles(std::vector<std::string> paths, size_t most_open)
    : paths_(std::move(paths)), most_open_(most_open) {}

// A reader holds its descriptor by shared_ptr, so that another thread may drop it from the table meanwhile.
std::shared_ptr<ShardFiles::Descriptor> ShardFiles::open(size_t file) const {
  const std::lock_guard lock(mutex_);
  if (const auto found = opened_.find(file); found != opened_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second.place);
    return found->second.descriptor;
  }
  auto descriptor = std::make_shared<Descriptor>(paths_.at(file));
  if (opened_.size() >= most_open_) {
    opened_.erase(recent_.back());
    recent_.pop_back();
  }
  recent_.push_front(file);
  opened_[file] = {descriptor, recent_.begin()};
  return descriptor;
}

std::string ShardFiles::read(size_t file, uint64_t offset, uint64_t size) const {
  const std::shared_ptr<Descriptor> descriptor = open(file);
  std::string bytes(size, '\0');
  for (uint64_t done = 0; done < size;) {
    const ssize_t got = ::pread(descriptor->fd(), bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read ", paths_[file], ": ", std::strerror(errno));
    if (got == 0) fail(paths_[file], " ends at ", offset + done, ", before byte ", offset + size);
    done += static_cast<uint64_t>(got);
  }
  return bytes;
}

}  // namespace gigacat::data
