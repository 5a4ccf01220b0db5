// NumPy's legacy generator, for metrics whose reference values depend on its draws.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace gigacat::eval {

class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed) : words_(seed) {}
  // RandomState.choice(count, size, replace=False): the first `size` of a shuffled 0..count-1.
  std::vector<int64_t> choice(int64_t count, int64_t size);

 private:
  uint32_t interval(uint32_t most);
  std::mt19937 words_;
};

}  // namespace gigacat::eval
