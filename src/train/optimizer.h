// AdamW over the parameters of one network: clipping, loss scaling and the update in LibTorch's fused kernels.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gigacat/train/config.h"

namespace gigacat::train {

using TensorMap = std::map<std::string, at::Tensor>;

// Factor on the learning rate of step `step` (0 first) in a run of `steps`: linear warm-up, then constant or a cosine.
double schedule_factor(const OptimizerConfig& config, int64_t step, int64_t steps);

// All figures stay on the device: nothing here waits for it.
class Optimizer {
 public:
  // Parameters of `module` that require a gradient, in registration order. `scale_loss`: float16 gradients need a loss
  // scale.
  Optimizer(const torch::nn::Module& module, const OptimizerConfig& config, bool scale_loss);

  // The loss to differentiate: times the loss scale.
  at::Tensor scaled(const at::Tensor& loss) const;
  // Clips and updates, or skips the update when the gradient's norm is not finite.
  // Errors: Error naming the parameters that no gradient reached.
  void step(double lr);
  void zero_grad();

  // Norm of the gradient before clipping, [] float32.
  const at::Tensor& grad_norm() const { return grad_norm_; }
  // 1 when the last step was skipped, else 0, [] float32.
  const at::Tensor& skipped() const { return skipped_; }
  bool scales_loss() const { return scale_loss_; }
  // Loss scale, [] float32; 1 without loss scaling.
  const at::Tensor& loss_scale() const { return loss_scale_; }
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<at::Tensor>& parameters() const { return parameters_; }

  // NAME.exp_avg, NAME.exp_avg_sq for each parameter; step, loss_scale, loss_scale_growth. The tensors are the
  // optimiser's own.
  TensorMap state() const;
  // Errors: Error when names or shapes differ; `what` names the source.
  void load_state(const TensorMap& state, const std::string& what);

 private:
  std::vector<at::Tensor> gradients() const;
  OptimizerConfig config_;
  bool scale_loss_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> parameters_, mean_, square_;
  at::Tensor step_, grad_norm_, skipped_, loss_scale_;
  at::Tensor growth_;  // [] int32, steps since the loss scale changed
};

}  // namespace gigacat::train
