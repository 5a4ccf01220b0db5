// The identity of a data set.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

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

}  // namespace gigacat::data
