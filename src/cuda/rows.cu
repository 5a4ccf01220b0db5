// A warp takes a row. Where a vector's gradient is summed over rows a block takes a chunk of them, each of its warps
// sums in shared memory of its own, and the warps are added in order: the same bits each time.
#include "cuda/rows.h"

#include <type_traits>

#include "cuda/rows_device.cuh"

namespace gigacat::device {
namespace {

// body(row) for the rows of this block's chunk.
template <class Body>
__device__ void for_chunk(const nn::Rows& rows, const Body& body) {
  const int64_t group = blockIdx.x / rows.chunks_per_group;
  const int64_t first = group * rows.per_group + blockIdx.x % rows.chunks_per_group * kChunk;
  const int64_t end = (group + 1) * rows.per_group, last = first + kChunk < end ? first + kChunk : end;
  for (int64_t row = first + warp(); row < last; row += kWarps) body(row, group);
}

template <class X, class Y>
__global__ void run_rms(nn::Rows rows, const X* x, const float* w, float plus, float eps, Y* y, float* r) {
  for_rows(rows.count, [&](int64_t row) {
    const X* const in = x + row * rows.width;
    Y* const out = y + row * rows.width;
    const float* const weight = w + row / rows.per_group * rows.width;
    float sum = 0;
    for (int64_t i = lane() * kLanes; i < rows.width; i += kStep) {
      const auto v = load<kLanes>(in + i);
#pragma unroll
      for (int j = 0; j < kLanes; ++j) sum += v[j] * v[j];
    }
    const float scale = 1.0f / sqrtf(warp_sum(sum) / static_cast<float>(rows.width) + eps);
    for (int64_t i = lane() * kLanes; i < rows.width; i += kStep) {
      auto v = load<kLanes>(in + i);
      const auto s = load<kLanes>(weight + i);
#pragma unroll
      for (int j = 0; j < kLanes; ++j) v[j] = v[j] * scale * (s[j] + plus);
      store(out + i, v);
    }
    if (lane() == 0) r[row] = scale;
  });
}

template <class D, class X>
__global__ void run_rms_backward(nn::Rows rows, const D* dy, const X* x, const float* w, float plus, const float* r,
                                 X* dx, float* partials) {
  const Sums sums(memory, rows.width, partials != nullptr);
  for_chunk(rows, [&](int64_t row, int64_t group) {
    const X* const in = x + row * rows.width;
    const D* const grad = dy + row * rows.width;
    X* const out = dx + row * rows.width;
    const float* const weight = w + group * rows.width;
    const float scale = r[row];
    float dot = 0;
    for (int64_t i = lane() * kLanes; i < rows.width; i += kStep) {
      const auto v = load<kLanes>(in + i), g = load<kLanes>(grad + i), s = load<kLanes>(weight + i);
#pragma unroll
      for (int j = 0; j < kLanes; ++j) dot += g[j] * (s[j] + plus) * v[j];
    }
    const float pull = scale * scale * scale * warp_sum(dot) / static_cast<float>(rows.width);
    for (int64_t i = lane() * kLanes; i < rows.width; i += kStep) {
      const auto v = load<kLanes>(in + i), g = load<kLanes>(grad + i), s = load<kLanes>(weight + i);
      Floats<kLanes> d, part;
#pragma unroll
      for (int j = 0; j < kLanes; ++j) {
        d[j] = scale * g[j] * (s[j] + plus) - v[j] * pull;
        part[j] = g[j] * v[j] * scale;
      }
      sums.add(i, part);
      store(out + i, d);
    }
  });
  sums.write(partials + blockIdx.x * rows.width);
}

template <class X, class Y>
__global__ void run_gate(nn::Rows rows, const X* x, const float* g, const Y* y, X* out) {
  for_rows(rows.count, [&](int64_t row) {
    const float* const weight = g + row / rows.per_group * rows.width;
    for (int64_t i = lane() * kLanes; i < rows.width; i += kStep) {
      auto v = load<kLanes>(x + row * rows.width + i);
      const auto b = load<kLanes>(y + row * rows.width + i), s = load<kLanes>(weight + i);
#pragma unroll
      for (int j = 0; j < kLanes; ++j) v[j] += s[j] * b[j];
      store(out + row * rows.width + i, v);
    }
  });
}

template <class D, class Y>
__global__ void run_gate_backward(nn::Rows rows, const D* dout, const float* g, const Y* y, Y* dy, float* partials) {
  const Sums sums(memory, rows.width, partials != nullptr);
  for_chunk(rows, [&](int64_t row, int64_t group) {
    const float* const weight = g + group * rows.width;
    for (int64_t i = lane() * kLanes; i < rows.width; i += kStep) {
      const auto d = load<kLanes>(dout + row * rows.width + i), s = load<kLanes>(weight + i);
      Floats<kLanes> out;
      if (partials != nullptr) {
        auto b = load<kLanes>(y + row * rows.width + i);
#pragma unroll
        for (int j = 0; j < kLanes; ++j) b[j] *= d[j];
        sums.add(i, b);
      }
#pragma unroll
      for (int j = 0; j < kLanes; ++j) out[j] = s[j] * d[j];
      store(dy + row * rows.width + i, out);
    }
  });
  sums.write(partials + blockIdx.x * rows.width);
}

template <int N, class T>
__global__ void run_swiglu(int64_t count, int64_t half, const T* x, T* h) {
  for_rows(count, [&](int64_t row) {
    const T* const in = x + row * 2 * half;
    for (int64_t i = lane() * N; i < half; i += kWarp * N) {
      const auto a = load<N>(in + i), b = load<N>(in + half + i);
      Floats<N> out;
#pragma unroll
      for (int j = 0; j < N; ++j) out[j] = a[j] / (1.0f + expf(-a[j])) * b[j];
      store(h + row * half + i, out);
    }
  });
}

template <int N, class T>
__global__ void run_swiglu_backward(int64_t count, int64_t half, const T* dh, const T* x, T* dx) {
  for_rows(count, [&](int64_t row) {
    const T* const in = x + row * 2 * half;
    T* const out = dx + row * 2 * half;
    for (int64_t i = lane() * N; i < half; i += kWarp * N) {
      const auto a = load<N>(in + i), b = load<N>(in + half + i), d = load<N>(dh + row * half + i);
      Floats<N> da, db;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const float s = 1.0f / (1.0f + expf(-a[j])), silu = a[j] * s;
        db[j] = d[j] * silu;
        da[j] = d[j] * b[j] * (s + silu * (1.0f - s));
      }
      store(out + i, da);
      store(out + half + i, db);
    }
  });
}

// Shared memory of a kernel of Sums, allowed to it where it is more than every kernel has.
template <class Kernel>
cudaError_t allow(Kernel* kernel, int64_t width, bool wanted, size_t& bytes) {
  constexpr size_t kAlways = 48 << 10;
  bytes = wanted ? sizeof(float) * kWarps * static_cast<size_t>(width) : 0;
  if (bytes <= kAlways) return cudaSuccess;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
}

// call(A{}, B{}) with the types as values of theirs.
template <class Call>
cudaError_t with_types(Type a, Type b, const Call& call) {
  return with_type(a, [&](auto first) {
    return with_type(b, [&](auto second) -> cudaError_t {
      using A = decltype(first);
      using B = decltype(second);
      if constexpr (std::is_same_v<A, B> || std::is_same_v<A, float> || std::is_same_v<B, float>)
        return call(first, second);
      else
        return cudaErrorInvalidValue;
    });
  });
}

}  // namespace

cudaError_t rms(const nn::Rows& rows, In x, const float* w, float plus, float eps, Out y, float* r,
                cudaStream_t stream) {
  if (rows.count == 0) return cudaSuccess;
  return with_types(x.type, y.type, [&](auto a, auto b) {
    run_rms<<<blocks_for(rows.count, kWarps), kThreads, 0, stream>>>(rows, of(x, a), w, plus, eps, of(y, b), r);
    return cudaGetLastError();
  });
}

cudaError_t rms_backward(const nn::Rows& rows, In dy, In x, const float* w, float plus, const float* r, Out dx,
                         float* partials, cudaStream_t stream) {
  if (rows.count == 0) return cudaSuccess;
  return with_types(dy.type, x.type, [&](auto a, auto b) {
    const auto kernel = run_rms_backward<decltype(a), decltype(b)>;
    size_t bytes = 0;
    if (const cudaError_t error = allow(kernel, rows.width, partials != nullptr, bytes)) return error;
    const auto blocks = static_cast<unsigned>(rows.groups * rows.chunks_per_group);
    kernel<<<blocks, kThreads, bytes, stream>>>(rows, of(dy, a), of(x, b), w, plus, r, of(dx, b), partials);
    return cudaGetLastError();
  });
}

cudaError_t gate(const nn::Rows& rows, In x, const float* g, In y, Out out, cudaStream_t stream) {
  if (rows.count == 0) return cudaSuccess;
  return with_types(x.type, y.type, [&](auto a, auto b) {
    run_gate<<<blocks_for(rows.count, kWarps), kThreads, 0, stream>>>(rows, of(x, a), g, of(y, b), of(out, a));
    return cudaGetLastError();
  });
}

cudaError_t gate_backward(const nn::Rows& rows, In dout, const float* g, In y, Out dy, float* partials,
                          cudaStream_t stream) {
  if (rows.count == 0) return cudaSuccess;
  return with_types(dout.type, y.type, [&](auto a, auto b) {
    const auto kernel = run_gate_backward<decltype(a), decltype(b)>;
    size_t bytes = 0;
    if (const cudaError_t error = allow(kernel, rows.width, partials != nullptr, bytes)) return error;
    const auto blocks = static_cast<unsigned>(rows.groups * rows.chunks_per_group);
    kernel<<<blocks, kThreads, bytes, stream>>>(rows, of(dout, a), g, of(y, b), of(dy, b), partials);
    return cudaGetLastError();
  });
}

cudaError_t swiglu(int64_t count, int64_t half, In x, Out h, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return with_type(x.type, [&](auto t) {
    const auto kernel = half % kLanes == 0 ? run_swiglu<kLanes, decltype(t)> : run_swiglu<kPair, decltype(t)>;
    kernel<<<blocks_for(count, kWarps), kThreads, 0, stream>>>(count, half, of(x, t), of(h, t));
    return cudaGetLastError();
  });
}

cudaError_t swiglu_backward(int64_t count, int64_t half, In dh, In x, Out dx, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return with_type(x.type, [&](auto t) {
    const auto kernel =
        half % kLanes == 0 ? run_swiglu_backward<kLanes, decltype(t)> : run_swiglu_backward<kPair, decltype(t)>;
    kernel<<<blocks_for(count, kWarps), kThreads, 0, stream>>>(count, half, of(dh, t), of(x, t), of(dx, t));
    return cudaGetLastError();
  });
}

}  // namespace gigacat::device
