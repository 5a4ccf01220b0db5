// Queries and keys of attention. A warp takes a token, groups of its lanes a head each; gradients of the weights are
// summed in registers, then over a block in a fixed order.
#include <type_traits>

#include "cuda/rows_device.cuh"

namespace gigacat::device {
namespace {

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
    kernel<<<dim3(blocks_for(heads.count, kWarps), 2), kThreads, 0, stream>>>(heads, lanes_for(heads.width), of(qkv, t),
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
    const dim3 blocks(static_cast<unsigned>(nn::chunks_of(heads.count)), 2);
    kernel<<<blocks, kThreads, bytes, stream>>>(heads, lanes_for(heads.width), of(qkv, t), scales, of(dq, t), of(dk, t),
                                                of(dqkv, t), partials);
    return cudaGetLastError();
  });
}

}  // namespace gigacat::device
