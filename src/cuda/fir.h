// FIR resampling on the GPU; no tensors here, so that nvcc compiles it in seconds.
#pragma once

#include <cuda_runtime_api.h>

#include "cuda/kernel.h"
#include "nn/fir_value.h"

namespace gigacat::device {

// planes [planes, height, width] -> [planes, rows, columns], both contiguous on the device; sums are float32.
// Errors: the launch's; the values are there once `stream` has come so far.
cudaError_t run_fir(const Fir& fir, Type type, const void* from, void* to, int64_t planes, cudaStream_t stream);

}  // namespace gigacat::device
