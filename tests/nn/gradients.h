// Gradient checks shared by the tests.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "gigacat/core/random.h"

namespace gigacat::testing {

// N(0, 1) values of a named stream.
inline at::Tensor values(const std::string& name, at::IntArrayRef shape) {
  at::Tensor out = at::empty(shape, at::kFloat);
  Stream(1, name).normal(0, 0, std::span<float>(out.data_ptr<float>(), out.numel()));
  return out;
}

inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>() /
         (b.to(at::kDouble).abs().max().item<double>() + 1e-12);
}

using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// Value and gradients of sum(f(inputs) * cotangent).
inline std::vector<at::Tensor> value_and_gradients(const Function& f, const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_(true));
  const at::Tensor out = f(leaves);
  std::vector<at::Tensor> result =
      torch::autograd::grad({out}, leaves, {values("cotangent", out.sizes()).to(out.options())});
  result.insert(result.begin(), out.detach());
  return result;
}

// Largest relative deviation of the gradients from central differences, in double precision.
inline double finite_difference_error(const Function& f, const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> doubles;
  for (const at::Tensor& input : inputs) doubles.push_back(input.to(at::kDouble));
  const std::vector<at::Tensor> exact = value_and_gradients(f, doubles);
  double worst = 0;
  constexpr double kStep = 1e-5;
  for (size_t i = 0; i < doubles.size(); ++i) {
    at::Tensor numeric = at::zeros_like(doubles[i]);
    for (int64_t j = 0; j < doubles[i].numel(); ++j) {
      const auto at_offset = [&](double offset) {
        std::vector<at::Tensor> moved = doubles;
        moved[i] = doubles[i].clone();
        moved[i].view(-1)[j] += offset;
        const at::Tensor out = f(moved);
        return (out * values("cotangent", out.sizes()).to(at::kDouble)).sum().item<double>();
      };
      numeric.view(-1)[j] = (at_offset(kStep) - at_offset(-kStep)) / (2 * kStep);
    }
    worst = std::max(worst, relative_error(exact[i + 1], numeric));
  }
  return worst;
}

}  // namespace gigacat::testing
