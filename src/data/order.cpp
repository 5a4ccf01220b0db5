#include "data/order.h"

#include "gigacat/core/error.h"
#include "gigacat/core/random.h"

namespace gigacat::data {

Order::Order(uint64_t seed, int64_t size) : seed_(seed), size_(size) { GIGACAT_CHECK(size > 0, size); }

int64_t Order::operator()(int64_t position) const {
  GIGACAT_CHECK(position >= 0, position);
  const Permutation epoch(seed_, "data.order", static_cast<uint64_t>(position / size_), static_cast<uint64_t>(size_));
  return static_cast<int64_t>(epoch(static_cast<uint64_t>(position % size_)));
}

}  // namespace gigacat::data
