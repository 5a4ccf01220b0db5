// The passes of nn/row_passes.h as kernels; no tensors here, so that nvcc compiles them by themselves. Letters as
// there.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/kernel.h"
#include "nn/row_passes.h"

namespace gigacat::device {

struct In {
  const void* data;
  Type type;
};
struct Out {
  void* data;
  Type type;
};

// qkv [N, 3, h, d], N tokens of sequences of `tokens`; weights [d] may be null, angles [tokens, d].
struct Heads {
  int64_t count, tokens, heads, width;
  const float *weight[2], *cos, *sin;
  float eps;
};

// Pointers are aligned for kGpuLanes values. Types differ between operands only where one is float32; dx has x's type,
// dy y's. Errors: the launch's, or cudaErrorInvalidValue for types that do not go together and rows wider than a
// block's memory; the values are there once `stream` has come so far.
cudaError_t rms(const nn::Rows& rows, In x, const float* w, float plus, float eps, Out y, float* r,
                cudaStream_t stream);
cudaError_t rms_backward(const nn::Rows& rows, In dy, In x, const float* w, float plus, const float* r, Out dx,
                         float* partials, cudaStream_t stream);
cudaError_t gate(const nn::Rows& rows, In x, const float* g, In y, Out out, cudaStream_t stream);
cudaError_t gate_backward(const nn::Rows& rows, In dout, const float* g, In y, Out dy, float* partials,
                          cudaStream_t stream);
cudaError_t swiglu(int64_t count, int64_t half, In x, Out h, cudaStream_t stream);
cudaError_t swiglu_backward(int64_t count, int64_t half, In dh, In x, Out dx, cudaStream_t stream);
cudaError_t rotate(const Heads& heads, In qkv, Out q, Out k, float* scales, cudaStream_t stream);
cudaError_t rotate_backward(const Heads& heads, In qkv, const float* scales, In dq, In dk, Out dqkv, float* partials,
                            cudaStream_t stream);

}  // namespace gigacat::device
