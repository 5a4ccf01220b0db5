// Source: numpy.random.RandomState (method): Mersenne Twister, masked rejection, Fisher-Yates from the end.
#include "eval/numpy_random.h"

#include <bit>
#include <numeric>
#include <utility>

#include "gigacat/core/error.h"

namespace gigacat::eval {

// Uniform in 0..most: the lowest bits of a word, drawn again while they are too large.
uint32_t NumpyRandom::interval(uint32_t most) {
  const uint32_t mask = most == 0 ? 0 : UINT32_MAX >> std::countl_zero(most);
  uint32_t value = 0;
  do value = static_cast<uint32_t>(words_()) & mask;
  while (value > most);
  return value;
}

std::vector<int64_t> NumpyRandom::choice(int64_t count, int64_t size) {
  GIGACAT_CHECK(size >= 0 && size <= count && count <= UINT32_MAX, size, " of ", count);
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i-- > 1;) std::swap(order[i], order[interval(static_cast<uint32_t>(i))]);
  order.resize(static_cast<size_t>(size));
  return order;
}

}  // namespace gigacat::eval
