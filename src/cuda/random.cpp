#include "cuda/random.h"

#include "cuda/launch.h"
#include "dist/cuda_abi.h"

namespace gigacat {
namespace {

void fill(cudaError_t (*kernel)(const device::Draw&, cudaStream_t), uint64_t key, uint64_t step,
          const at::Tensor& positions, at::Tensor& out) {
  TORCH_CHECK(positions.is_cuda() && positions.is_contiguous() && positions.scalar_type() == at::kLong,
              "positions of a draw");
  TORCH_CHECK(out.is_contiguous() && out.scalar_type() == at::kFloat && out.device() == positions.device() &&
                  out.dim() == 2 && out.size(0) == positions.numel() && out.size(1) <= int64_t{1} << 34,
              "values of a draw");
  const device::Draw draw{key,         step,        positions.const_data_ptr<int64_t>(),
                          out.size(0), out.size(1), out.data_ptr<float>()};
  device::launch("random numbers", out, kernel, draw);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void gigacat_fill_normal(uint64_t key, uint64_t step,
                                                                           const at::Tensor& positions,
                                                                           at::Tensor& out) {
  fill(device::fill_normal, key, step, positions, out);
}

extern "C" __attribute__((visibility("default"))) void gigacat_fill_uniform(uint64_t key, uint64_t step,
                                                                            const at::Tensor& positions,
                                                                            at::Tensor& out) {
  fill(device::fill_uniform, key, step, positions, out);
}

static_assert(std::is_same_v<decltype(gigacat_fill_normal), cuda_abi::FillRandom>);
static_assert(std::is_same_v<decltype(gigacat_fill_uniform), cuda_abi::FillRandom>);

}  // namespace gigacat
