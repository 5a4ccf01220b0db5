// The NCCL process group. A rank that hangs on the GPU is ended by the group's own watchdog thread after the timeout.
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <chrono>

#include "dist/cuda_abi.h"

namespace gigacat {

// extern "C" for a name that dlsym finds; both sides are C++ of one build.
#pragma GCC diagnostic ignored "-Wreturn-type-c-linkage"
extern "C" __attribute__((visibility("default"))) c10::intrusive_ptr<c10d::Backend> gigacat_make_nccl_group(
    const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, int64_t timeout_ms) {
  // Not on a high-priority stream: gradient exchange then takes its turn beside the kernels of backward.
  auto options = c10d::ProcessGroupNCCL::Options::create(/*is_high_priority_stream=*/false);
  options->timeout = std::chrono::milliseconds(timeout_ms);
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}

static_assert(std::is_same_v<decltype(gigacat_make_nccl_group), cuda_abi::MakeNcclGroup>);

}  // namespace gigacat
