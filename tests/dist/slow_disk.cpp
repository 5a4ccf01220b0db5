// Preloaded (LD_PRELOAD), it makes a file system hang: writes to and syncs of files whose paths contain SLOW_DISK_PATH
// take SLOW_DISK_SECONDS longer. With SLOW_DISK_MARK only the first does, and makes that file.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

void hang(int descriptor) {
  static const char* const needle = std::getenv("SLOW_DISK_PATH");
  static const char* const mark = std::getenv("SLOW_DISK_MARK");
  static const char* const seconds = std::getenv("SLOW_DISK_SECONDS");
  if (needle == nullptr || seconds == nullptr) return;
  char link[64], path[4096] = "";
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  if (::readlink(link, path, sizeof path - 1) < 0 || std::strstr(path, needle) == nullptr) return;
  if (mark != nullptr) {
    const int made = ::open(mark, O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (made < 0) return;
    ::close(made);
  }
  ::sleep(static_cast<unsigned>(std::atoi(seconds)));
}

}  // namespace

extern "C" int fsync(int descriptor) {
  hang(descriptor);
  static const auto real = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fsync"));
  return real(descriptor);
}

extern "C" ssize_t write(int descriptor, const void* data, size_t bytes) {
  hang(descriptor);
  static const auto real = reinterpret_cast<ssize_t (*)(int, const void*, size_t)>(::dlsym(RTLD_NEXT, "write"));
  return real(descriptor, data, bytes);
}
