#include "cuda/fir.h"

#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "dist/cuda_abi.h"

namespace gigacat {

extern "C" __attribute__((visibility("default"))) void gigacat_fir(const device::Fir& fir, const at::Tensor& from,
                                                                   at::Tensor& to) {
  TORCH_CHECK(from.is_cuda() && from.is_contiguous() && to.is_contiguous() && from.device() == to.device() &&
                  from.scalar_type() == to.scalar_type() && fir.taps <= device::kMostTaps,
              "planes of a FIR filter");
  const at::ScalarType type = from.scalar_type();
  TORCH_CHECK(type == at::kFloat || type == at::kHalf || type == at::kBFloat16, "FIR filter of ", type);
  const c10::cuda::CUDAGuard guard(from.device());
  const cudaError_t error = device::run_fir(fir,
                                            type == at::kFloat  ? device::FirType::f32
                                            : type == at::kHalf ? device::FirType::f16
                                                                : device::FirType::bf16,
                                            from.const_data_ptr(), to.mutable_data_ptr(), from.size(0) * from.size(1),
                                            c10::cuda::getCurrentCUDAStream());
  TORCH_CHECK(error == cudaSuccess, "FIR filter on the GPU: ", cudaGetErrorString(error));
}

static_assert(std::is_same_v<decltype(gigacat_fir), cuda_abi::RunFir>);

}  // namespace gigacat
