#include "cuda/fir.h"

#include "cuda/launch.h"
#include "dist/cuda_abi.h"

namespace gigacat {

extern "C" __attribute__((visibility("default"))) void gigacat_fir(const device::Fir& fir, const at::Tensor& from,
                                                                   at::Tensor& to) {
  TORCH_CHECK(from.is_cuda() && from.is_contiguous() && to.is_contiguous() && from.device() == to.device() &&
                  from.scalar_type() == to.scalar_type() && fir.taps <= device::kMostTaps,
              "planes of a FIR filter");
  device::launch("FIR filter", from, device::run_fir, fir, device::type_of(from), from.const_data_ptr(),
                 to.mutable_data_ptr(), from.size(0) * from.size(1));
}

static_assert(std::is_same_v<decltype(gigacat_fir), cuda_abi::RunFir>);

}  // namespace gigacat
