// The moving average of the generator that samples come from.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "gigacat/run/config.h"

namespace gigacat::train {

class Ema {
 public:
  // `average` has the parameters and buffers of `source` by name, and its values from now on.
  // Errors: InternalError when the two differ in names or shapes.
  Ema(const torch::nn::Module& source, std::shared_ptr<torch::nn::Module> average, const run::OptimizerConfig& config);
  // Takes the source's values.
  void reset();
  // Moves every parameter toward the source's; buffers are copied. `step`: steps done before this one.
  void update(int64_t step);
  // Decay at a step, with the warm-up.
  double decay(int64_t step) const;
  torch::nn::Module& module() const { return *average_; }

 private:
  void copy_buffers();
  double decay_;
  int64_t warmup_;
  std::shared_ptr<torch::nn::Module> average_;
  std::vector<at::Tensor> source_parameters_, parameters_, source_buffers_, buffers_;
};

}  // namespace gigacat::train
