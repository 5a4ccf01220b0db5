// From tensors to kernels.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <utility>

#include "cuda/kernel.h"

namespace gigacat::device {

// Errors: c10::Error for a type that kernels do not read.
inline Type type_of(const at::Tensor& t) {
  switch (t.scalar_type()) {
    case at::kFloat:
      return Type::f32;
    case at::kHalf:
      return Type::f16;
    case at::kBFloat16:
      return Type::bf16;
    default:
      TORCH_CHECK(false, "a kernel on the GPU for ", t.scalar_type());
  }
}

// kernel(given..., the current stream of the GPU that holds `on`). Errors: c10::Error that names `what`.
template <class... Arguments, class... Given>
void launch(const char* what, const at::Tensor& on, cudaError_t (*kernel)(Arguments...), Given&&... given) {
  const c10::cuda::CUDAGuard guard(on.device());
  const cudaError_t error = kernel(std::forward<Given>(given)..., c10::cuda::getCurrentCUDAStream());
  TORCH_CHECK(error == cudaSuccess, what, " on the GPU: ", cudaGetErrorString(error));
}

}  // namespace gigacat::device
