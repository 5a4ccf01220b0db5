#include "fuzz.h"

#include <sys/mman.h>

namespace gigacat::fuzz {

File::File(std::span<const std::byte> bytes) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
  if (fd_ < 0 || write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  path_ = cat("/proc/self/fd/", fd_);
}

void run(void (*body)(std::span<const std::byte>), const uint8_t* data, size_t size) {
  try {
    body({reinterpret_cast<const std::byte*>(data), size});
  } catch (const InternalError&) {
    std::abort();
  } catch (const Error&) {
  }
}

}  // namespace gigacat::fuzz
