#include "gigacat/nn/minibatch_std.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "gigacat/core/error.h"
#include "gigacat/nn/autocast.h"

namespace gigacat::nn {

at::Tensor minibatch_std(const at::Tensor& x, int64_t group, int64_t channels) {
  const FloatIsland island(x);
  const int64_t n = x.size(0), g = std::min(group, n), c = x.size(1), h = x.size(2), w = x.size(3);
  GIGACAT_CHECK(n % g == 0 && c % channels == 0, "x ", x.sizes(), ", group ", g, ", channels ", channels);
  at::Tensor y = x.to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  y = y.reshape({n / g, g, channels, c / channels, h, w});
  y = y - y.mean(1, /*keepdim=*/true);
  y = (y.square().mean(1) + 1e-8).sqrt().mean({2, 3, 4});  // [N / g, channels]
  y = y.to(x.scalar_type()).repeat_interleave(g, 0).view({n, channels, 1, 1}).expand({-1, -1, h, w});
  return at::cat({x, y}, 1);
}

}  // namespace gigacat::nn
