// What the fuzzers of this folder share. A fuzzer is FUZZ(bytes) { ... }: any Error is a refusal and fine; an
// InternalError, a crash, a sanitizer's complaint or a wrong answer (abort) is a find.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "gigacat/core/error.h"

namespace gigacat::fuzz {

inline volatile size_t sink;  // what was read must not be optimised away

// The input as a file of its own, in memory, for parsers that take a path.
class File {
 public:
  explicit File(std::span<const std::byte> bytes);
  ~File() { close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

// Runs one input.
void run(void (*body)(std::span<const std::byte>), const uint8_t* data, size_t size);

}  // namespace gigacat::fuzz

#define FUZZ(bytes)                                                         \
  static void fuzz_body(std::span<const std::byte> bytes);                  \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { \
    gigacat::fuzz::run(fuzz_body, data, size);                              \
    return 0;                                                               \
  }                                                                         \
  static void fuzz_body(std::span<const std::byte> bytes)
