// The order in which samples are seen.
#pragma once

#include <cstdint>

namespace gigacat::data {

// Source index at each place of the endless global order: epoch after epoch, each a permutation by (seed, epoch).
// Errors: InternalError for an empty set and a negative place.
class Order {
 public:
  Order(uint64_t seed, int64_t size);
  int64_t operator()(int64_t position) const;

 private:
  uint64_t seed_;
  int64_t size_;
};

}  // namespace gigacat::data
