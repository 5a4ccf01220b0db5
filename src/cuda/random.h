// Kernels that fill device memory from a named stream; no tensors here, so that nvcc compiles them in seconds.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace gigacat::device {

struct Draw {
  uint64_t key, step;
  const int64_t* positions;   // [count] on the device
  int64_t count, per_sample;  // per_sample at most 2^34
  float* out;                 // [count, per_sample] on the device
};

// Errors: the launch's; the values are there once `stream` has come so far.
cudaError_t fill_normal(const Draw& draw, cudaStream_t stream);
cudaError_t fill_uniform(const Draw& draw, cudaStream_t stream);

}  // namespace gigacat::device
