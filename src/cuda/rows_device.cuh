// What kernels over rows share: packs of values, sums of a warp and of a block, and the choice of a kernel by type.
// Each file of kernels has them for itself.
#pragma once

#include "cuda/rows.h"
#include "cuda/values.cuh"

namespace gigacat::device {
namespace {

constexpr int kWarp = 32, kWarps = 8, kThreads = kWarp * kWarps;
constexpr int kLanes = static_cast<int>(nn::kGpuLanes), kPair = 2;
constexpr int kChunk = static_cast<int>(nn::kRowsPerChunk);
constexpr int64_t kStep = int64_t{kWarp} * kLanes;  // values that a warp takes at once

template <class T, int N>
struct alignas(N * sizeof(T)) Pack {
  T value[N];
};

template <int N>
struct Floats {
  float value[N];
  __device__ float& operator[](int i) { return value[i]; }
  __device__ float operator[](int i) const { return value[i]; }
};

template <int N, class T>
__device__ Floats<N> load(const T* from) {
  const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(from);
  Floats<N> out;
#pragma unroll
  for (int i = 0; i < N; ++i) out[i] = widen(pack.value[i]);
  return out;
}

template <int N, class T>
__device__ void store(T* to, const Floats<N>& values) {
  Pack<T, N> pack;
#pragma unroll
  for (int i = 0; i < N; ++i) narrow(values[i], pack.value[i]);
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// The same sum in all lanes.
__device__ float warp_sum(float value) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffff, value, distance);
  return value;
}

__device__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ int warp() { return static_cast<int>(threadIdx.x) / kWarp; }

// body(row) for each row, a warp each.
template <class Body>
__device__ void for_rows(int64_t count, const Body& body) {
  const int64_t stride = int64_t{gridDim.x} * kWarps;
  for (int64_t row = int64_t{blockIdx.x} * kWarps + warp(); row < count; row += stride) body(row);
}

// A warp's own sums [width] in the block's memory, and their total.
struct Sums {
  __device__ Sums(float* memory, int64_t width, bool wanted)
      : all(memory), own(memory + warp() * width), width(width), wanted(wanted) {
    for (int64_t i = lane(); i < width && wanted; i += kWarp) own[i] = 0;
    __syncwarp();
  }
  template <int N>
  __device__ void add(int64_t at, const Floats<N>& values) const {
    if (!wanted) return;
    auto sum = load<N>(own + at);
#pragma unroll
    for (int i = 0; i < N; ++i) sum[i] += values[i];
    store(own + at, sum);
  }
  __device__ void write(float* to) const {
    if (!wanted) return;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < width; i += kThreads) {
      float sum = 0;
      for (int k = 0; k < kWarps; ++k) sum += all[k * width + i];
      to[i] = sum;
    }
  }
  float *all, *own;
  int64_t width;
  bool wanted;
};

extern __shared__ __align__(16) float memory[];

template <class T>
const T* of(In in, T) {
  return static_cast<const T*>(in.data);
}
template <class T>
T* of(Out out, T) {
  return static_cast<T*>(out.data);
}

}  // namespace
}  // namespace gigacat::device
