// AdamW over the parameters of one network: clipping, loss scaling and the update in LibTorch's fused kernels.
// Serves any torch::nn::Module, see examples/own_module.cpp.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gigacat/run/config.h"
#include "gigacat/train/shards.h"

namespace gigacat::train {

using TensorMap = std::map<std::string, at::Tensor>;

// Factor on the learning rate of step `step` (0 first) in a run of `steps`: linear warm-up, then constant or a cosine.
double schedule_factor(const run::OptimizerConfig& config, int64_t step, int64_t steps);

struct OptimizerOptions {
  bool scale_loss = false;  // float16 gradients need a loss scale
  // Each rank keeps the moments of its share of the parameters and updates only those; the numbers are the same to the
  // bit. None: each rank does all.
  std::shared_ptr<dist::Group> shared_among = nullptr;
  std::set<std::string> attention = {};  // parameters that decay with optimizer.decay=attention
};

// All values stay on the device: nothing here waits for it.
class Optimizer {
 public:
  // Parameters of `module` that require a gradient, in registration order.
  Optimizer(const torch::nn::Module& module, const run::OptimizerConfig& config, const OptimizerOptions& options = {});

  // The loss to differentiate: a scalar [] times the loss scale.
  at::Tensor scaled(const at::Tensor& loss) const;
  // Clips and updates, or skips the update when the gradient's norm is not finite. A collective where ranks share.
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

  // NAME.exp_avg (not with beta1 = 0: it is the gradient), NAME.exp_avg_sq for each parameter; step, loss_scale,
  // loss_scale_growth. The tensors are the optimiser's own. Where ranks share, rank 0 has all between gather() or
  // load_state() and distribute() or release().
  TensorMap state() const;
  bool is_shared() const { return shards_.has_value(); }
  // Where ranks share: rank 0 gets a copy of the others' moments, on the host; each rank gets from rank 0 what it
  // keeps; rank 0 forgets the others'. The first two are collectives.
  void gather();
  void distribute();
  void release() { others_.clear(); }
  // A state without any mean gives means of zero, means that beta1 = 0 does not need are passed over. Errors: Error
  // when names or shapes differ otherwise; `what` names the source.
  void load_state(const TensorMap& state, const std::string& what);

 private:
  std::vector<at::Tensor> gradients() const;
  bool is_mine(size_t parameter) const { return !shards_ || shards_->is_mine(parameter); }
  void update(const std::vector<at::Tensor>& grads, double lr, const at::Tensor& divisor);
  run::OptimizerConfig config_;
  bool scale_loss_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> parameters_;
  // One of AdamW's moments, under its name's ending: a tensor for each parameter, undefined for those of other ranks.
  struct Moment {
    std::string ending;
    std::vector<at::Tensor> values;
  };
  std::vector<Moment> moments_;  // the mean where there is one, the square
  // Places of the parameters that this rank updates: those that decay, those that do not.
  std::vector<std::vector<size_t>> groups_;
  std::optional<Shards> shards_;
  TensorMap others_;  // of rank 0, for a while: moments that other ranks keep
  at::Tensor step_, grad_norm_, skipped_, loss_scale_;
  at::Tensor growth_;  // [] int32, steps since the loss scale changed
};

}  // namespace gigacat::train
