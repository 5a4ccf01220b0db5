#include "dist/device_random.h"

#include <ATen/ops/empty.h>

#include "dist/cuda_abi.h"
#include "gigacat/core/error.h"
#include "gigacat/dist/device.h"

namespace gigacat::dist {
namespace {

at::Tensor fill(const char* symbol, const Stream& stream, uint64_t step, const at::Tensor& positions,
                int64_t per_sample) {
  const auto run = reinterpret_cast<cuda_abi::FillRandom*>(cuda_symbol(symbol));
  GIGACAT_CHECK(positions.is_cuda() && positions.dim() == 1 && positions.scalar_type() == at::kLong && per_sample >= 0,
                "positions of the draw");
  at::Tensor out = at::empty({positions.size(0), per_sample}, positions.options().dtype(at::kFloat));
  run(stream.key(), step, positions.contiguous(), out);
  return out;
}

}  // namespace

at::Tensor device_normal(const Stream& stream, uint64_t step, const at::Tensor& positions, int64_t per_sample) {
  return fill("gigacat_fill_normal", stream, step, positions, per_sample);
}

at::Tensor device_uniform(const Stream& stream, uint64_t step, const at::Tensor& positions, int64_t per_sample) {
  return fill("gigacat_fill_uniform", stream, step, positions, per_sample);
}

}  // namespace gigacat::dist
