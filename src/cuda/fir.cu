#include "cuda/fir.h"

#include "cuda/values.cuh"

namespace gigacat::device {
namespace {

constexpr int kThreads = 256;

// One thread writes one value after another; neighbours in a warp read neighbouring samples.
template <class T>
__global__ void resample(Fir fir, const T* from, T* to, int64_t values) {
  const int64_t plane = fir.rows * fir.columns, stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < values; i += stride) {
    const int64_t p = i / plane, at = i % plane;
    const T* const own = from + p * fir.height * fir.width;
    const float value =
        fir_at(fir, at / fir.columns, at % fir.columns, [own](int64_t sample) { return widen(own[sample]); });
    narrow(value, to[i]);
  }
}

}  // namespace

cudaError_t run_fir(const Fir& fir, Type type, const void* from, void* to, int64_t planes, cudaStream_t stream) {
  const int64_t values = planes * fir.rows * fir.columns;
  if (values == 0) return cudaSuccess;
  return with_type(type, [&](auto t) {
    using T = decltype(t);
    resample<T><<<blocks_for(values, kThreads), kThreads, 0, stream>>>(fir, static_cast<const T*>(from),
                                                                       static_cast<T*>(to), values);
    return cudaGetLastError();
  });
}

}  // namespace gigacat::device
