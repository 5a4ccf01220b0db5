// How fast the machine multiplies matrices at this moment.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace gigacat::bench {

// GFLOP/s of the four matrix products of a transformer block (qkv, proj, w12, w3) of this width on `rows` tokens.
double product_gflops(int64_t rows, int64_t width, at::ScalarType type, at::Device device);

}  // namespace gigacat::bench
