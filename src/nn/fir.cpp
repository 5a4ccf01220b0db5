#include "nn/fir.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

// Letters: H x W a plane that is read, R x S one that is written, K taps.
namespace gigacat::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

int64_t length_of(int64_t n, int64_t up, int64_t down, int64_t before, int64_t after, int64_t taps) {
  return (n * up + before + after - taps) / down + 1;
}

// One row [W] -> [S]. `buffer` holds the row as it is convolved: zeros inserted, padded; at places that stay zero it is
// zero.
void filter_row(const float* in, float* out, float* buffer, int64_t width, int64_t result, const FirPlan& plan,
                const std::vector<float>& flipped) {
  const int64_t total = (result - 1) * plan.down + static_cast<int64_t>(flipped.size());
  for (int64_t i = 0; i < width; ++i) {
    const int64_t at = i * plan.up + plan.pads.left;
    if (at >= 0 && at < total) buffer[at] = in[i];
  }
  const int64_t taps = static_cast<int64_t>(flipped.size());
  std::fill(out, out + result, 0.0F);
  for (int64_t k = 0; k < taps; ++k) {
    const float tap = flipped[static_cast<size_t>(k)];
    const float* const from = buffer + k;
    if (plan.down == 1)
      for (int64_t x = 0; x < result; ++x) out[x] += tap * from[x];
    else
      for (int64_t x = 0; x < result; ++x) out[x] += tap * from[x * plan.down];
  }
}

// Row y of the columns' convolution: a sum of the rows of the plane [H, W] under the taps; rows of zeros cost nothing.
void filter_columns(const float* plane, float* row, int64_t y, int64_t height, int64_t width, const FirPlan& plan,
                    const std::vector<float>& flipped) {
  std::fill(row, row + width, 0.0F);
  for (int64_t k = 0; k < std::ssize(flipped); ++k) {
    const int64_t at = y * plan.down + k - plan.pads.top;
    if (at < 0 || at % plan.up != 0 || at / plan.up >= height) continue;
    const float* const from = plane + at / plan.up * width;
    const float tap = flipped[static_cast<size_t>(k)];
    for (int64_t x = 0; x < width; ++x) row[x] += tap * from[x];
  }
}

at::Tensor run(const at::Tensor& input, const FirPlan& plan) {
  const at::Tensor x = input.contiguous();
  const int64_t height = x.size(2), width = x.size(3), taps = std::ssize(plan.taps);
  const int64_t rows = length_of(height, plan.up, plan.down, plan.pads.top, plan.pads.bottom, taps);
  const int64_t columns = length_of(width, plan.up, plan.down, plan.pads.left, plan.pads.right, taps);
  at::Tensor y = at::empty({x.size(0), x.size(1), rows, columns}, x.options());
  const std::vector<float> flipped(plan.taps.rbegin(), plan.taps.rend());
  const float* const from = x.const_data_ptr<float>();
  float* const to = y.data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, 16384 / (rows * columns));
  at::parallel_for(0, x.size(0) * x.size(1), grain, [&](int64_t first, int64_t last) {
    std::vector<float> row(static_cast<size_t>(width));
    std::vector<float> buffer(static_cast<size_t>((columns - 1) * plan.down + taps), 0.0F);
    for (int64_t p = first; p < last; ++p)
      for (int64_t r = 0; r < rows; ++r) {
        filter_columns(from + p * height * width, row.data(), r, height, width, plan, flipped);
        filter_row(row.data(), to + (p * rows + r) * columns, buffer.data(), width, columns, plan, flipped);
      }
  });
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
    return {fir_cpu(grads[0], {{taps.begin(), taps.end()}, s[0], s[1], {s[2], s[3], s[4], s[5]}}), at::Tensor()};
  }
};

}  // namespace

at::Tensor fir_cpu(const at::Tensor& x, const FirPlan& plan) { return Fir::apply(x, plan); }

}  // namespace gigacat::nn
