// The passes over memory behind nn/fused.h, on whole tensors: the CPU's, and the GPU's from the CUDA module. All
// tensors are contiguous, on one device; letters: N rows of width D in `groups` equal groups, F half of a SwiGLU's
// input.
#pragma once

#include <cstdint>

namespace at {
class Tensor;
}

namespace gigacat::nn {

// Rows summed into one partial gradient: fixed, so that neither threads nor devices move a bit of the order.
inline constexpr int64_t kRowsPerChunk = 64;

inline int64_t chunks_of(int64_t rows) { return (rows + kRowsPerChunk - 1) / kRowsPerChunk; }

// Values that a GPU's thread takes at once, of which a row is a whole number, and the widest head that it takes.
inline constexpr int64_t kGpuLanes = 4, kWidestGpuHead = 256;

// Rows in `groups` equal groups, each with a vector of its own (scale, gate, weight) and whole chunks.
struct Rows {
  int64_t width, count, groups, per_group, chunks_per_group;
};

// x [..., D] and its vectors [groups, D].
inline Rows rows_of(int64_t values, int64_t of_vectors, int64_t width) {
  const int64_t count = values / width, groups = of_vectors / width, per_group = count / groups;
  return {width, count, groups, per_group, chunks_of(per_group)};
}

// How queries and keys are made of qkv [B, T, 3, h, d]: weights [d] of the norm (undefined: no norm), angles [T, d].
struct QkTables {
  const at::Tensor &q_weight, &k_weight, &cos, &sin;
  double eps;
};

// Values x, y, dx, dy are float32, bfloat16 or, on a GPU, float16; vectors w, g [groups, D], scales r [N] and partial
// gradients [groups, chunks, D] are float32. Partials that are undefined are not wanted. Errors: c10::Error of a
// launch.
struct RowPasses {
  // y = x r (w + plus) with r = 1 / sqrt(mean(x^2) + eps).
  void (*rms)(const at::Tensor& x, const at::Tensor& w, double plus, double eps, const at::Tensor& y,
              const at::Tensor& r);
  void (*rms_backward)(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w, double plus, const at::Tensor& r,
                       const at::Tensor& dx, const at::Tensor& partials);
  // out = x + g y.
  void (*gate)(const at::Tensor& x, const at::Tensor& g, const at::Tensor& y, const at::Tensor& out);
  void (*gate_backward)(const at::Tensor& dout, const at::Tensor& g, const at::Tensor& y, const at::Tensor& dy,
                        const at::Tensor& partials);
  // x [N, 2F] = [a, b] -> h [N, F] = silu(a) b.
  void (*swiglu)(const at::Tensor& x, const at::Tensor& h);
  void (*swiglu_backward)(const at::Tensor& dh, const at::Tensor& x, const at::Tensor& dx);
  // q, k [B, T, h, d]; `scales` [B T, 2, h] is set where there is a norm.
  void (*rotate)(const at::Tensor& qkv, const QkTables& how, const at::Tensor& q, const at::Tensor& k,
                 const at::Tensor& scales);
  // Fills the q and k parts of dqkv; partials of the weights [2, chunks, d].
  void (*rotate_backward)(const at::Tensor& qkv, const QkTables& how, const at::Tensor& scales, const at::Tensor& dq,
                          const at::Tensor& dk, const at::Tensor& dqkv, const at::Tensor& partials);
};

// Those of a tensor's device. Errors: Error when it is a GPU and the CUDA module is not loaded.
const RowPasses& row_passes(const at::Tensor& x);

}  // namespace gigacat::nn
