// Separable FIR resampling of float32 images on the CPU, in one pass over memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "gigacat/nn/resample.h"

namespace gigacat::nn {

struct FirPlan {
  std::vector<float> taps;  // as they are convolved, gain included once for both directions
  int64_t up, down;
  Pads pads;
};

// As upfirdn2d, for contiguous or other float32 tensors on the CPU: x [B, C, H, W]. Its backward is itself with up and
// down exchanged, so that it can be differentiated any number of times.
at::Tensor fir_cpu(const at::Tensor& x, const FirPlan& plan);

}  // namespace gigacat::nn
