// Draws of core/random.h's streams made on the GPU: the same values to the bit, without a copy from the host.
#pragma once

#include <ATen/core/Tensor.h>

#include "gigacat/core/random.h"

namespace gigacat::dist {

// positions: [B], int64, on the GPU: the samples. Returns [B, per_sample], float32; row b is what
// stream.normal(step, positions[b], ...) gives. Errors: Error when the CUDA module is not loaded.
at::Tensor device_normal(const Stream& stream, uint64_t step, const at::Tensor& positions, int64_t per_sample);
at::Tensor device_uniform(const Stream& stream, uint64_t step, const at::Tensor& positions, int64_t per_sample);

}  // namespace gigacat::dist
