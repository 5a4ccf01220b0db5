#include "nn/fir.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "dist/cuda_abi.h"
#include "gigacat/dist/device.h"
#include "nn/cpu/fused_kernels.h"
#include "nn/fir_value.h"

// Letters: H x W a plane that is read, R x S one that is written, K taps.
namespace gigacat::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

int64_t length_of(int64_t n, int64_t up, int64_t down, int64_t before, int64_t after, int64_t taps) {
  return (n * up + before + after - taps) / down + 1;
}

void run_on_cpu(const at::Tensor& x, const FirPlan& plan, at::Tensor& y) {
  const int64_t height = x.size(2), width = x.size(3), rows = y.size(2), columns = y.size(3);
  const int64_t taps = std::ssize(plan.taps);
  const std::vector<float> flipped(plan.taps.rbegin(), plan.taps.rend());
  const float* const from = x.const_data_ptr<float>();
  float* const to = y.data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, 16384 / (rows * columns));
  const FirShape shape{height, width, rows, columns, plan.up, plan.down, plan.pads.left, plan.pads.top, taps};
  at::parallel_for(0, x.size(0) * x.size(1), grain, [&](int64_t first, int64_t last) {
    std::vector<float> scratch(static_cast<size_t>(width + (columns - 1) * plan.down + taps));
    for (int64_t p = first; p < last; ++p)
      fused_kernels().fir(from + p * height * width, shape, flipped.data(), scratch.data(), to + p * rows * columns);
  });
}

void run_on_gpu(const at::Tensor& x, const FirPlan& plan, at::Tensor& y) {
  device::Fir fir{x.size(2),
                  x.size(3),
                  y.size(2),
                  y.size(3),
                  static_cast<int>(plan.up),
                  static_cast<int>(plan.down),
                  static_cast<int>(plan.pads.left),
                  static_cast<int>(plan.pads.top),
                  static_cast<int>(plan.taps.size()),
                  {}};
  std::copy(plan.taps.rbegin(), plan.taps.rend(), fir.flipped);
  static const auto run = reinterpret_cast<cuda_abi::RunFir*>(dist::cuda_symbol("gigacat_fir"));
  run(fir, x, y);
}

at::Tensor run(const at::Tensor& input, const FirPlan& plan) {
  const at::Tensor x = input.contiguous();
  const int64_t taps = std::ssize(plan.taps);
  at::Tensor y =
      at::empty({x.size(0), x.size(1), length_of(x.size(2), plan.up, plan.down, plan.pads.top, plan.pads.bottom, taps),
                 length_of(x.size(3), plan.up, plan.down, plan.pads.left, plan.pads.right, taps)},
                x.options());
  (x.is_cuda() ? run_on_gpu : run_on_cpu)(x, plan, y);
  return y;
}

// Of an operation that read H x W and gave R x S.
FirPlan adjoint(const FirPlan& plan, int64_t height, int64_t width, int64_t rows, int64_t columns) {
  const int64_t taps = std::ssize(plan.taps);
  FirPlan back{{plan.taps.rbegin(), plan.taps.rend()}, plan.down, plan.up, {}};
  const auto rest = [&](int64_t n, int64_t result, int64_t before) {
    return n * plan.up - result * plan.down + before - plan.up + 1;
  };
  back.pads = {taps - 1 - plan.pads.left, rest(width, columns, plan.pads.left), taps - 1 - plan.pads.top,
               rest(height, rows, plan.pads.top)};
  return back;
}

class Fir : public torch::autograd::Function<Fir> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const FirPlan& plan) {
    const at::Tensor y = run(x, plan);
    const FirPlan back = adjoint(plan, x.size(2), x.size(3), y.size(2), y.size(3));
    ctx->saved_data["taps"] = std::vector<double>(back.taps.begin(), back.taps.end());
    ctx->saved_data["sizes"] =
        std::vector<int64_t>{back.up, back.down, back.pads.left, back.pads.right, back.pads.top, back.pads.bottom};
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto taps = ctx->saved_data["taps"].toDoubleVector();
    const auto s = ctx->saved_data["sizes"].toIntVector();
    return {fir(grads[0], {{taps.begin(), taps.end()}, s[0], s[1], {s[2], s[3], s[4], s[5]}}), at::Tensor()};
  }
};

}  // namespace

bool serves_fir(const at::Tensor& x, int64_t taps) {
  const at::ScalarType type = x.scalar_type();
  if (x.is_cuda())
    return taps <= device::kMostTaps && dist::cuda_loaded() &&
           (type == at::kFloat || type == at::kHalf || type == at::kBFloat16);
  return x.device().is_cpu() && type == at::kFloat;
}

at::Tensor fir(const at::Tensor& x, const FirPlan& plan) { return Fir::apply(x, plan); }

}  // namespace gigacat::nn
