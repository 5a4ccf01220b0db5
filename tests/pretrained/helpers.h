// Small random weight files and error texts.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <cmath>
#include <string>

#include "gigacat/core/error.h"
#include "gigacat/nn/state.h"

namespace gigacat::pretrained::testing {

// Random values for every tensor of a network: weights that keep the scale of what passes through.
inline nn::TensorMap random_state(const torch::nn::Module& module) {
  at::manual_seed(3);
  nn::TensorMap state;
  for (const auto& [name, tensor] : nn::state_of(module)) {
    const double fan = tensor.dim() > 1 ? static_cast<double>(tensor[0].numel()) : 100;
    state[name] = at::randn(tensor.sizes()) / std::sqrt(fan);
  }
  return state;
}

// The text of the Error that `action` throws, or "".
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace gigacat::pretrained::testing
