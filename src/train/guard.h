// Steps whose gradient is not finite: counted, reported, and after too many in a row the end of the run.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "gigacat/recipes/recipe.h"
#include "gigacat/train/optimizer.h"

namespace gigacat::train {

// What a half of a step worked on, for the diagnosis.
struct Evidence {
  const torch::nn::Module& network;
  const recipes::Batch& batch;
  const at::Tensor& fakes;
  const recipes::Loss& loss;
};

// Loss terms with their values, and the first tensor of inputs, fakes, losses, weights, gradients that is not finite.
std::string diagnose(const Evidence& evidence);

// Watches the updates of one network. The counts live on the device, so that reading them is a choice.
class NonfiniteGuard {
 public:
  // `network`: "generator", "discriminator". `limit`: skipped steps in a row that end the run.
  NonfiniteGuard(std::string network, int64_t limit, at::Device device);
  // After each Optimizer::step.
  void count(const Optimizer& optimizer);
  // Waits for the device, logs the steps skipped since the last call. Errors: Error with the diagnosis at the limit.
  void check(int64_t step, const Optimizer& optimizer, const Evidence& evidence);
  int64_t skipped() const { return reported_; }

  // [skipped in all, in a row], read from the device.
  nlohmann::json state() const;
  void load_state(const nlohmann::json& state);

 private:
  std::string network_;
  int64_t limit_, reported_ = 0;
  at::Tensor total_, in_a_row_;  // [] int64
};

}  // namespace gigacat::train
