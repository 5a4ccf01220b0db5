// The identity of a data set.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "gigacat/core/files.h"

namespace gigacat::data {

// SHA-256 over (name, size, label) of all samples in order, chained by blocks so that a large set needs little memory.
class Fingerprint {
 public:
  void add(std::string_view name, uint64_t size, int64_t label) {
    block_.append(name)
        .append(1, '\0')
        .append(std::to_string(size))
        .append(1, ' ')
        .append(std::to_string(label))
        .append(1, '\n');
    if (block_.size() >= kBlock) fold();
  }
  std::string digest() {
    fold();
    return block_;
  }

 private:
  static constexpr size_t kBlock = 1 << 20;
  void fold() { block_ = sha256(std::as_bytes(std::span<const char>(block_))); }
  std::string block_;
};

// When a file was last written, in nanoseconds; 0 for one that is not there.
inline int64_t write_time(const std::filesystem::path& file) {
  std::error_code error;
  const auto time = std::filesystem::last_write_time(file, error);
  return error ? 0 : std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace gigacat::data
