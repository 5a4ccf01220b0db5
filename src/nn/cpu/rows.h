// What the passes of nn/row_passes.h read and write, and when they serve.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "gigacat/dist/device.h"
#include "gigacat/nn/fused.h"
#include "nn/cpu/fused_kernels.h"
#include "nn/row_passes.h"

namespace gigacat::nn {

// Whether the passes serve these tensors: all on the CPU or all on one GPU, of types that they read.
inline bool use_passes(std::initializer_list<at::Tensor> tensors) {
  if (TwiceDifferentiable::active()) return false;
  const at::Device device = tensors.begin()->device();
  if (device.is_cuda() && !dist::cuda_loaded()) return false;
  return (device.is_cpu() || device.is_cuda()) && std::all_of(tensors.begin(), tensors.end(), [&](const at::Tensor& t) {
           const at::ScalarType type = t.scalar_type();
           if (t.device() != device) return false;
           if (device.is_cpu()) return type == at::kFloat || type == at::kBFloat16;
           return (type == at::kFloat || type == at::kBFloat16 || type == at::kHalf) && t.size(-1) % kGpuLanes == 0;
         });
}

// Reads rows of a contiguous float32 or bfloat16 tensor as float32.
class RowReader {
 public:
  RowReader(const at::Tensor& t, int64_t width)
      : width_(width), base_(t.const_data_ptr()), is_float_(t.scalar_type() == at::kFloat) {
    if (!is_float_) scratch_.resize(width);
  }
  const float* operator()(int64_t row) {
    if (is_float_) return static_cast<const float*>(base_) + row * width_;
    fused_kernels().load_bf16(static_cast<const uint16_t*>(base_) + row * width_, width_, scratch_.data());
    return scratch_.data();
  }

 private:
  int64_t width_;
  const void* base_;
  bool is_float_;
  std::vector<float> scratch_;
};

// Rows of a contiguous output: write into slot(row), then commit(row).
class RowWriter {
 public:
  RowWriter(const at::Tensor& t, int64_t width)
      : width_(width), base_(t.mutable_data_ptr()), is_float_(t.scalar_type() == at::kFloat) {
    if (!is_float_) scratch_.resize(width);
  }
  float* slot(int64_t row) { return is_float_ ? static_cast<float*>(base_) + row * width_ : scratch_.data(); }
  void commit(int64_t row) {
    if (!is_float_) fused_kernels().store_bf16(scratch_.data(), width_, static_cast<uint16_t*>(base_) + row * width_);
  }

 private:
  int64_t width_;
  void* base_;
  bool is_float_;
  std::vector<float> scratch_;
};

inline at::Tensor plain_rms(const at::Tensor& x, double eps) {
  return x * (x.square().mean(-1, /*keepdim=*/true) + eps).rsqrt();
}

}  // namespace gigacat::nn
