// The types that kernels read and write; they compute in float32.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include "cuda/kernel.h"

namespace gigacat::device {
namespace {

using Half = __half;
using Brief = __nv_bfloat16;

__device__ float widen(float value) { return value; }
__device__ float widen(Half value) { return __half2float(value); }
__device__ float widen(Brief value) { return __bfloat162float(value); }
__device__ void narrow(float value, float& to) { to = value; }
__device__ void narrow(float value, Half& to) { to = __float2half_rn(value); }
__device__ void narrow(float value, Brief& to) { to = __float2bfloat16_rn(value); }

// call(T{}) with the type as a value of it.
template <class Call>
cudaError_t with_type(Type type, const Call& call) {
  if (type == Type::f32) return call(float{});
  if (type == Type::f16) return call(Half{});
  return call(Brief{});
}

}  // namespace
}  // namespace gigacat::device
