// Draws of the named streams made on the GPU.
#include "cuda/random.h"

#include "cuda/kernel.h"
#include "cuda/random_device.h"

namespace gigacat::device {
namespace {

constexpr int kThreads = 256;

// One thread makes one block of four values of one sample. positions [B], out [B, per_sample].
template <bool kIsNormal>
__global__ void fill(uint64_t key, const int64_t* positions, int64_t blocks_per_sample, int64_t per_sample,
                     int64_t blocks, float* out) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < blocks; i += stride) {
    const int64_t row = i / blocks_per_sample, block = i % blocks_per_sample;
    const auto sample = static_cast<uint64_t>(positions[row]);
    float four[4];
    kIsNormal ? normal_block(key, sample, static_cast<uint32_t>(block), four)
              : uniform_block(key, sample, static_cast<uint32_t>(block), four);
    for (int j = 0; j < 4; ++j)
      if (4 * block + j < per_sample) out[row * per_sample + 4 * block + j] = four[j];
  }
}

template <bool kIsNormal>
cudaError_t launch(const Draw& draw, cudaStream_t stream) {
  const int64_t blocks_per_sample = (draw.per_sample + 3) / 4, blocks = blocks_per_sample * draw.count;
  if (blocks == 0) return cudaSuccess;
  fill<kIsNormal><<<blocks_for(blocks, kThreads), kThreads, 0, stream>>>(
      step_key(draw.key, draw.step), draw.positions, blocks_per_sample, draw.per_sample, blocks, draw.out);
  return cudaGetLastError();
}

}  // namespace

cudaError_t fill_normal(const Draw& draw, cudaStream_t stream) { return launch<true>(draw, stream); }
cudaError_t fill_uniform(const Draw& draw, cudaStream_t stream) { return launch<false>(draw, stream); }

}  // namespace gigacat::device
