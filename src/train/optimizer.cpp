#include "gigacat/train/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <string>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"

namespace gigacat::train {
namespace {

// Source: PyTorch's GradScaler (defaults).
constexpr double kFirstLossScale = 65536, kScaleGrowth = 2, kScaleBackoff = 0.5;
constexpr int64_t kScaleGrowthInterval = 2000;

// Endings of the moments' names. Source: the keys of torch.optim.AdamW.
constexpr const char *kMean = ".exp_avg", *kSquare = ".exp_avg_sq";

}  // namespace

double schedule_factor(const run::OptimizerConfig& config, int64_t step, int64_t steps) {
  if (step < config.warmup) return static_cast<double>(step + 1) / static_cast<double>(config.warmup);
  if (config.schedule != "cosine") return 1;
  const int64_t end = config.decay_steps > 0 ? config.decay_steps : steps;
  const double length = static_cast<double>(std::max<int64_t>(1, end - config.warmup));
  const double done = std::min(1.0, static_cast<double>(step - config.warmup) / length);
  return config.final_lr + (1 - config.final_lr) * 0.5 * (1 + std::cos(std::numbers::pi * done));
}

Optimizer::Optimizer(const torch::nn::Module& module, const run::OptimizerConfig& config,
                     const OptimizerOptions& options)
    : config_(config), scale_loss_(options.scale_loss) {
  for (const auto& item : module.named_parameters()) {
    if (!item.value().requires_grad()) continue;
    names_.push_back(item.key());
    parameters_.push_back(item.value());
  }
  GIGACAT_CHECK(!parameters_.empty(), "a network without parameters");
  if (options.shared_among && options.shared_among->size() > 1) shards_.emplace(options.shared_among, parameters_);
  if (config.beta1 > 0) moments_.push_back({kMean, {}});
  moments_.push_back({kSquare, {}});
  for (Moment& moment : moments_)
    for (size_t i = 0; i < parameters_.size(); ++i)
      moment.values.push_back(is_mine(i) ? at::zeros_like(parameters_[i]) : at::Tensor());
  groups_.resize(2);
  for (size_t i = 0; i < names_.size(); ++i)
    if (is_mine(i))
      groups_[config.weight_decay > 0 && (config.decay == "all" || options.attention.contains(names_[i])) ? 0 : 1]
          .push_back(i);
  const auto scalar = at::TensorOptions().device(parameters_.front().device()).dtype(at::kFloat);
  step_ = at::zeros({}, scalar);
  grad_norm_ = at::zeros({}, scalar);
  skipped_ = at::zeros({}, scalar);
  loss_scale_ = at::full({}, scale_loss_ ? kFirstLossScale : 1.0, scalar);
  growth_ = at::zeros({}, scalar.dtype(at::kInt));
}

at::Tensor Optimizer::scaled(const at::Tensor& loss) const { return scale_loss_ ? loss * loss_scale_ : loss; }

void Optimizer::step(double lr) {
  at::NoGradGuard no_grad;
  const auto grads = gradients();
  const at::Tensor norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(grads, 2)), 2);
  grad_norm_ = norm / loss_scale_;
  skipped_ = at::isfinite(norm).logical_not().to(at::kFloat);
  // The kernel divides gradients by one number: loss scale and clipping together cost no pass of their own.
  at::Tensor divisor = loss_scale_;
  if (config_.max_grad_norm > 0) divisor = loss_scale_ * ((grad_norm_ + 1e-6) / config_.max_grad_norm).clamp_min(1);
  step_.add_(1 - skipped_);
  update(grads, lr, divisor);
  if (shards_) shards_->exchange(parameters_, "updated weights");
  if (scale_loss_)
    at::_amp_update_scale_(loss_scale_, growth_, skipped_, kScaleGrowth, kScaleBackoff, kScaleGrowthInterval);
}

void Optimizer::update(const std::vector<at::Tensor>& grads, double lr, const at::Tensor& divisor) {
  for (const std::vector<size_t>& group : groups_) {
    if (group.empty()) continue;
    const auto some = [&](const std::vector<at::Tensor>& all) {
      std::vector<at::Tensor> picked;
      for (const size_t i : group) picked.push_back(all[i]);
      return picked;
    };
    const double decay = &group == &groups_[0] ? config_.weight_decay : 0;
    const std::vector<at::Tensor> own = some(grads);
    // With beta1 = 0 the mean is the gradient, and the kernel may write it where it read it.
    auto parameters = some(parameters_), means = config_.beta1 > 0 ? some(moments_.front().values) : own,
         squares = some(moments_.back().values);
    at::_fused_adamw_(parameters, own, means, squares, {}, std::vector<at::Tensor>(group.size(), step_), lr,
                      config_.beta1, config_.beta2, decay, config_.eps, /*amsgrad=*/false, /*maximize=*/false, divisor,
                      skipped_);
  }
}

std::vector<at::Tensor> Optimizer::gradients() const {
  std::vector<at::Tensor> grads;
  std::vector<std::string> missing;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    grads.push_back(parameters_[i].grad());
    if (!grads.back().defined() && missing.size() < 8) missing.push_back(names_[i]);
  }
  if (!missing.empty())
    fail("no gradient reached ", join(missing),
         ": a recipe must switch requires_grad off for weights that its losses do not use");
  return grads;
}

void Optimizer::zero_grad() {
  for (at::Tensor& parameter : parameters_) parameter.mutable_grad().reset();
}

TensorMap Optimizer::state() const {
  TensorMap state = others_;
  state.insert({{"step", step_}, {"loss_scale", loss_scale_}, {"loss_scale_growth", growth_}});
  for (size_t i = 0; i < names_.size(); ++i) {
    if (!is_mine(i)) continue;
    for (const Moment& moment : moments_) state[names_[i] + moment.ending] = moment.values[i];
  }
  return state;
}

void Optimizer::gather() {
  if (!shards_) return;
  for (const Moment& moment : moments_) {
    std::vector<at::Tensor> all;
    for (size_t i = 0; i < parameters_.size(); ++i)
      all.push_back(is_mine(i) ? moment.values[i] : at::empty_like(parameters_[i]));
    shards_->exchange(all, "moments");
    for (size_t i = 0; i < parameters_.size() && shards_->rank() == 0; ++i)
      if (!is_mine(i)) others_[names_[i] + moment.ending] = all[i].to(at::kCPU);
  }
}

void Optimizer::distribute() {
  if (!shards_) return;
  at::NoGradGuard no_grad;
  for (at::Tensor* scalar : {&step_, &loss_scale_, &growth_}) shards_->from_first(*scalar, "optimizer");
  for (const Moment& moment : moments_)
    for (size_t i = 0; i < parameters_.size(); ++i) {
      at::Tensor value = is_mine(i) ? moment.values[i] : at::empty_like(parameters_[i]);
      if (const auto found = others_.find(names_[i] + moment.ending); found != others_.end())
        value.copy_(found->second);
      shards_->from_first(value, "moments");
    }
  release();
}

void Optimizer::load_state(const TensorMap& state, const std::string& what) {
  release();
  if (shards_)
    for (size_t i = 0; i < names_.size(); ++i)
      for (const Moment& moment : moments_)
        if (!is_mine(i)) others_[names_[i] + moment.ending] = at::empty_like(parameters_[i], at::kCPU);
  const bool has_means =
      std::any_of(names_.begin(), names_.end(), [&](const std::string& name) { return state.contains(name + kMean); });
  TensorMap own = this->state();
  at::NoGradGuard no_grad;
  for (auto& [name, tensor] : own) {
    const auto found = state.find(name);
    if (found == state.end() && name.ends_with(kMean) && !has_means) {
      tensor.zero_();
      continue;
    }
    if (found == state.end()) fail(what, " lacks ", name);
    if (found->second.sizes() != tensor.sizes()) fail(what, ": ", name, " has another shape");
    tensor.copy_(found->second);
  }
  std::set<std::string> unused;
  if (config_.beta1 == 0)
    for (const std::string& name : names_) unused.insert(name + kMean);
  for (const auto& [name, tensor] : state)
    if (!own.contains(name) && !unused.contains(name)) fail(what, " holds ", name, ", which no parameter is called");
}

}  // namespace gigacat::train
