// Initial weights: each tensor is drawn from a stream named by its path in the network, so that it does not depend on
// the order in which modules are built.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace gigacat::nn {

class Init {
 public:
  // Weights of the network called `path` ("G", "D").
  Init(uint64_t seed, std::string path) : seed_(seed), path_(std::move(path)) {}
  // Leaves random tensors zero: for weights that are loaded right after.
  static Init zeros();
  // The same for a child module.
  Init operator/(std::string_view child) const;
  Init operator/(int64_t child) const { return *this / std::to_string(child); }

  // U(-a, a), a = gain * sqrt(6 / (fan_in + fan_out)); shape [out, in, ...], fan_in = product of all but the first.
  at::Tensor xavier_uniform(std::string_view name, at::IntArrayRef shape, double gain = 1) const;
  // N(0, deviation^2), any shape.
  at::Tensor normal(std::string_view name, at::IntArrayRef shape, double deviation) const;

 private:
  uint64_t seed_ = 0;
  std::string path_;
  bool zeros_ = false;
};

}  // namespace gigacat::nn
