// A warp takes a row. Where a vector's gradient is summed over rows a block takes a chunk of them, each of its warps
// sums in shared memory of its own, and the warps are added in order: the same bits each time.
#include "cuda/rows.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

namespace gigacat::device {
namespace {

constexpr int kWarp = 32, kWarps = 8, kThreads = kWarp * kWarps;
constexpr int kLanes = static_cast<int>(nn::kGpuLanes), kPair = 2;
constexpr int kChunk = static_cast<int>(nn::kRowsPerChunk);
constexpr int64_t kStep = int64_t{kWarp} * kLanes;  // values that a warp takes at once

using Half = __half;
using Brief = __nv_bfloat16;

__device__ float widen(float value) { return value; }
__device__ float widen(Half value) { return __half2float(value); }
__device__ float widen(Brief value) { return __bfloat162float(value); }
__device__ void narrow(float value, float& to) { to = value; }
__device__ void narrow(float value, Half& to) { to = __float2half_rn(value); }
__device__ void narrow(float value, Brief& to) { to = __float2bfloat16_rn(value); }

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

// body(row) for the rows of this block's chunk.
template <class Body>
__device__ void for_chunk(const nn::Rows& rows, const Body& body) {
  const int64_t group = blockIdx.x / rows.chunks_per_group;
  const int64_t first = group * rows.per_group + blockIdx.x % rows.chunks_per_group * kChunk;
  const int64_t end = (group + 1) * rows.per_group, last = first + kChunk < end ? first + kChunk : end;
  for (int64_t row = first + warp(); row < last; row += kWarps) body(row, group);
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

// The lanes of a warp in groups; a group takes a head, a lane N packs of its values. blockIdx.y: 0 queries, 1 keys.
template <int N>
struct Share {
  __device__ Share(const Heads& s, int lanes)
      : lanes(lanes), group(lane() / lanes), groups(kWarp / lanes), part(static_cast<int>(blockIdx.y)) {
    const int64_t member = lane() % lanes;
#pragma unroll
    for (int n = 0; n < N; ++n) {
      at[n] = (n * lanes + member) * kLanes;
      weight[n] = read(s.weight[part], s.width, n, 1);
    }
  }
  // Values of row [width]; `otherwise` where there is no row, 0 past its end.
  template <class T>
  __device__ Floats<kLanes> read(const T* row, int64_t width, int n, float otherwise) const {
    Floats<kLanes> out;
#pragma unroll
    for (int j = 0; j < kLanes; ++j) out[j] = at[n] < width ? otherwise : 0;
    return row != nullptr && at[n] < width ? load<kLanes>(row + at[n]) : out;
  }
  template <class T>
  __device__ void write(T* row, int64_t width, int n, const Floats<kLanes>& values) const {
    if (row != nullptr && at[n] < width) store(row + at[n], values);
  }
  __device__ void turn(const Heads& s, int64_t token) {
    const int64_t angles = token % s.tokens * s.width;
#pragma unroll
    for (int n = 0; n < N; ++n) {
      cos[n] = read(s.cos + angles, s.width, n, 1);
      sin[n] = read(s.sin + angles, s.width, n, 0);
    }
  }
  // body(head) for the group's heads; past the last one too, so that all lanes meet in sum().
  template <class Body>
  __device__ void for_heads(const Heads& s, const Body& body) const {
    const int64_t rounds = (s.heads + groups - 1) / groups;
    for (int64_t i = 0; i < rounds; ++i) body(i * groups + group);
  }
  // The same sum in all lanes of the group.
  __device__ float sum(float value) const {
    for (int distance = lanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffff, value, distance);
    return value;
  }
  int lanes, group, groups, part;
  int64_t at[N];
  Floats<kLanes> weight[N], cos[N], sin[N];
};

template <class T, int N>
__global__ void run_rotate(Heads s, int lanes, const T* qkv, T* q, T* k, float* scales) {
  Share<N> share(s, lanes);
  const bool norm = s.weight[share.part] != nullptr;
  T* const to = share.part == 0 ? q : k;
  for_rows(s.count, [&](int64_t token) {
    share.turn(s, token);
    share.for_heads(s, [&](int64_t head) {
      const bool is_there = head < s.heads;
      const T* const x = is_there ? qkv + ((3 * token + share.part) * s.heads + head) * s.width : nullptr;
      T* const out = is_there ? to + (token * s.heads + head) * s.width : nullptr;
      Floats<kLanes> v[N];
      float sum = 0, scale = 1;
#pragma unroll
      for (int n = 0; n < N; ++n) {
        v[n] = share.read(x, s.width, n, 0);
#pragma unroll
        for (int j = 0; j < kLanes; ++j) sum += v[n][j] * v[n][j];
      }
      if (norm) {
        scale = 1.0f / sqrtf(share.sum(sum) / static_cast<float>(s.width) + s.eps);
        if (is_there && share.at[0] == 0) scales[(token * 2 + share.part) * s.heads + head] = scale;
      }
#pragma unroll
      for (int n = 0; n < N; ++n) {
        Floats<kLanes> y;
#pragma unroll
        for (int j = 0; j < kLanes; j += 2) {
          const float a = v[n][j] * scale * share.weight[n][j], b = v[n][j + 1] * scale * share.weight[n][j + 1];
          y[j] = a * share.cos[n][j] - b * share.sin[n][j];
          y[j + 1] = b * share.cos[n][j + 1] + a * share.sin[n][j + 1];
        }
        share.write(out, s.width, n, y);
      }
    });
  });
}

// A block takes a chunk of tokens.
template <class T, int N>
__global__ void run_rotate_backward(Heads s, int lanes, const T* qkv, const float* scales, const T* dq, const T* dk,
                                    T* dqkv, float* partials) {
  Share<N> share(s, lanes);
  const bool norm = s.weight[share.part] != nullptr;
  const T* const from = share.part == 0 ? dq : dk;
  Floats<kLanes> dw[N] = {};
  const int64_t first = int64_t{blockIdx.x} * kChunk, last = first + kChunk < s.count ? first + kChunk : s.count;
  for (int64_t token = first + warp(); token < last; token += kWarps) {
    share.turn(s, token);
    share.for_heads(s, [&](int64_t head) {
      const bool is_there = head < s.heads;
      const int64_t place = ((3 * token + share.part) * s.heads + head) * s.width;
      const T* const x = is_there && norm ? qkv + place : nullptr;
      const T* const dout = is_there ? from + (token * s.heads + head) * s.width : nullptr;
      Floats<kLanes> v[N], d[N];
      float dot = 0;
#pragma unroll
      for (int n = 0; n < N; ++n) {
        v[n] = share.read(x, s.width, n, 0);
        const auto turned = share.read(dout, s.width, n, 0);
#pragma unroll
        for (int j = 0; j < kLanes; j += 2) {
          d[n][j] = turned[j] * share.cos[n][j] + turned[j + 1] * share.sin[n][j + 1];
          d[n][j + 1] = turned[j + 1] * share.cos[n][j + 1] - turned[j] * share.sin[n][j];
        }
#pragma unroll
        for (int j = 0; j < kLanes; ++j) dot += d[n][j] * share.weight[n][j] * v[n][j];
      }
      if (norm) {
        const float scale = is_there ? scales[(token * 2 + share.part) * s.heads + head] : 0;
        const float pull = scale * scale * scale * share.sum(dot) / static_cast<float>(s.width);
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
          for (int j = 0; j < kLanes; ++j) {
            dw[n][j] += d[n][j] * v[n][j] * scale;
            d[n][j] = scale * d[n][j] * share.weight[n][j] - v[n][j] * pull;
          }
      }
#pragma unroll
      for (int n = 0; n < N; ++n) share.write(is_there ? dqkv + place : nullptr, s.width, n, d[n]);
    });
  }
  if (partials == nullptr) return;
  const Sums sums(memory, s.width, true);
#pragma unroll
  for (int n = 0; n < N; ++n) {
#pragma unroll
    for (int j = 0; j < kLanes; ++j)
      for (int distance = lanes; distance < kWarp; distance *= 2)
        dw[n][j] += __shfl_xor_sync(0xffffffff, dw[n][j], distance);
    if (share.group == 0 && share.at[n] < s.width) sums.add(share.at[n], dw[n]);
  }
  sums.write(partials + (int64_t{share.part} * gridDim.x + blockIdx.x) * s.width);
}

unsigned blocks_for(int64_t rows) {
  const int64_t blocks = (rows + kWarps - 1) / kWarps;
  return static_cast<unsigned>(blocks < 65535 ? blocks : 65535);
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
cudaError_t with_type(Type type, const Call& call) {
  if (type == Type::f32) return call(float{});
  if (type == Type::f16) return call(Half{});
  return call(Brief{});
}

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

template <class T>
const T* of(In in, T) {
  return static_cast<const T*>(in.data);
}
template <class T>
T* of(Out out, T) {
  return static_cast<T*>(out.data);
}

}  // namespace

cudaError_t rms(const nn::Rows& rows, In x, const float* w, float plus, float eps, Out y, float* r,
                cudaStream_t stream) {
  if (rows.count == 0) return cudaSuccess;
  return with_types(x.type, y.type, [&](auto a, auto b) {
    run_rms<<<blocks_for(rows.count), kThreads, 0, stream>>>(rows, of(x, a), w, plus, eps, of(y, b), r);
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
    run_gate<<<blocks_for(rows.count), kThreads, 0, stream>>>(rows, of(x, a), g, of(y, b), of(out, a));
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
    kernel<<<blocks_for(count), kThreads, 0, stream>>>(count, half, of(x, t), of(h, t));
    return cudaGetLastError();
  });
}

cudaError_t swiglu_backward(int64_t count, int64_t half, In dh, In x, Out dx, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  return with_type(x.type, [&](auto t) {
    const auto kernel =
        half % kLanes == 0 ? run_swiglu_backward<kLanes, decltype(t)> : run_swiglu_backward<kPair, decltype(t)>;
    kernel<<<blocks_for(count), kThreads, 0, stream>>>(count, half, of(dh, t), of(x, t), of(dx, t));
    return cudaGetLastError();
  });
}

namespace {

// Lanes that a head's values fill: a power of two, so that groups divide a warp.
int lanes_for(int64_t width) {
  int lanes = 1;
  while (lanes < kWarp && lanes * kLanes < width) lanes *= 2;
  return lanes;
}

// call(T{}, number of packs of a lane) for a head's width.
template <class Call>
cudaError_t with_packs(Type type, int64_t width, const Call& call) {
  return with_type(type, [&](auto t) -> cudaError_t {
    if (width <= kStep) return call(t, std::integral_constant<int, 1>{});
    if (width <= 2 * kStep) return call(t, std::integral_constant<int, 2>{});
    return cudaErrorInvalidValue;
  });
}

}  // namespace

cudaError_t rotate(const Heads& heads, In qkv, Out q, Out k, float* scales, cudaStream_t stream) {
  if (heads.count == 0) return cudaSuccess;
  return with_packs(qkv.type, heads.width, [&](auto t, auto packs) {
    const auto kernel = run_rotate<decltype(t), decltype(packs)::value>;
    kernel<<<dim3(blocks_for(heads.count), 2), kThreads, 0, stream>>>(heads, lanes_for(heads.width), of(qkv, t),
                                                                      of(q, t), of(k, t), scales);
    return cudaGetLastError();
  });
}

cudaError_t rotate_backward(const Heads& heads, In qkv, const float* scales, In dq, In dk, Out dqkv, float* partials,
                            cudaStream_t stream) {
  if (heads.count == 0) return cudaSuccess;
  return with_packs(qkv.type, heads.width, [&](auto t, auto packs) {
    const auto kernel = run_rotate_backward<decltype(t), decltype(packs)::value>;
    const size_t bytes = partials != nullptr ? sizeof(float) * kWarps * static_cast<size_t>(heads.width) : 0;
    const dim3 blocks(static_cast<unsigned>((heads.count + kChunk - 1) / kChunk), 2);
    kernel<<<blocks, kThreads, bytes, stream>>>(heads, lanes_for(heads.width), of(qkv, t), scales, of(dq, t), of(dk, t),
                                                of(dqkv, t), partials);
    return cudaGetLastError();
  });
}

}  // namespace gigacat::device
