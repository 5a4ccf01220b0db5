// Separable FIR resampling in one pass over memory: float32 on the CPU; float32, float16 and bfloat16 on a GPU.
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

// Whether fir() serves x and so many taps; on a GPU only where the CUDA module is loaded.
bool serves_fir(const at::Tensor& x, int64_t taps);

// As upfirdn2d: x [B, C, H, W]. Its backward is itself with up and down exchanged, so that it can be differentiated any
// number of times.
at::Tensor fir(const at::Tensor& x, const FirPlan& plan);

}  // namespace gigacat::nn
