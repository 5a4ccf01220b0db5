#include "train/gan_step.h"

#include <ATen/ATen.h>

#include <utility>

#include "train/profile.h"

namespace gigacat::train {
namespace {

// While one lives, gradients pass through the network but none is computed for its weights.
class Frozen {
 public:
  explicit Frozen(const std::vector<at::Tensor>& parameters) : parameters_(parameters) { set(false); }
  ~Frozen() { set(true); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  void set(bool requires_grad) {
    for (const at::Tensor& parameter : parameters_) parameter.set_requires_grad(requires_grad);
  }
  const std::vector<at::Tensor>& parameters_;
};

// For the log.
recipes::Loss together(recipes::Loss loss, recipes::Loss penalty) {
  loss.total = loss.total.detach();
  if (penalty.total.defined()) loss.total = loss.total + penalty.total.detach();
  loss.terms.insert(loss.terms.end(), penalty.terms.begin(), penalty.terms.end());
  return loss;
}

}  // namespace

bool is_logged(const run::RunConfig& config, int64_t step) {
  return step % config.log.every == 0 || step == 1 || step == config.train.steps;
}

GanStep::GanStep(const run::RunConfig& config, TrainState& state, dist::Group& group)
    : config_(config),
      state_(state),
      group_(group),
      recipe_(state.recipe),
      precision_(config.train.precision, group.device()),
      checkpointing_(config.train.activation_checkpoint),
      reuse_fakes_(config.train.reuse_fakes && config.train.accumulate == 1) {}

std::vector<at::Tensor> GanStep::discriminator(const std::vector<MicroBatch>& batches) {
  const Range range("D");
  const nn::CheckpointScope scope(checkpointing_);
  NetworkState& half = state_.discriminator;
  half.losses.clear();
  std::vector<at::Tensor> fakes;
  for (const MicroBatch& micro : batches) {
    recipes::Loss penalty, loss;
    {
      const auto autocast = precision_.autocast();
      penalty = recipe_.discriminator_penalty(micro.batch);
    }
    if (penalty.total.defined()) differentiate(half, penalty, /*last=*/false);
    fakes.push_back(generate(micro.batch, /*with_graph=*/reuse_fakes_));
    {
      const auto autocast = precision_.autocast();
      loss = recipe_.discriminator_loss(micro.batch, fakes.back().detach());
    }
    differentiate(half, loss, &micro == &batches.back());
    half.losses.push_back(together(std::move(loss), std::move(penalty)));
  }
  update(half, batches.back().batch, fakes.back());
  return fakes;
}

std::vector<at::Tensor> GanStep::generator(const std::vector<MicroBatch>& batches, std::vector<at::Tensor> fakes) {
  const Range range("G");
  const nn::CheckpointScope scope(checkpointing_);
  NetworkState& half = state_.generator;
  half.losses.clear();
  const Frozen frozen(state_.discriminator.optimizer.parameters());
  for (size_t i = 0; i < batches.size(); ++i) {
    const recipes::Batch& batch = batches[i].batch;
    if (!reuse_fakes_) fakes[i] = generate(batch, /*with_graph=*/true);
    recipes::Loss loss;
    {
      const auto autocast = precision_.autocast();
      loss = recipe_.generator_loss(batch, fakes[i]);
    }
    fakes[i] = fakes[i].detach();
    differentiate(half, loss, i + 1 == batches.size());
    half.losses.push_back(together(std::move(loss), {}));
  }
  recipe_.update_buffers(group_);
  update(half, batches.back().batch, fakes.back());
  return fakes;
}

at::Tensor GanStep::generate(const recipes::Batch& batch, bool with_graph) {
  const auto autocast = precision_.autocast();
  return recipe_.generate(batch, with_graph);
}

// Gradients of the micro-batches add up; with the last they are averaged over the ranks.
void GanStep::differentiate(NetworkState& half, const recipes::Loss& loss, bool last) {
  const at::Tensor total = half.optimizer.scaled(loss.total) / static_cast<double>(config_.train.accumulate);
  if (last) {
    half.reducer.backward(total);
  } else {
    half.reducer.no_sync();
    total.backward();
  }
}

void GanStep::update(NetworkState& half, const recipes::Batch& batch, const at::Tensor& fakes) {
  half.lr = config_.optimizer.lr * half.lr_scale * schedule_factor(config_.optimizer, state_.step, config_.train.steps);
  const Range range("optimizer");
  half.optimizer.step(half.lr);
  half.guard.count(half.optimizer);
  // Reading the count costs nothing on a CPU; a GPU would have to be waited for.
  const int64_t now = state_.step + 1;
  if (group_.device().is_cpu() || is_logged(config_, now) || now % config_.train.nonfinite_limit == 0)
    half.guard.check(now, half.optimizer, {half.network, batch, fakes, half.losses.back()});
  half.optimizer.zero_grad();
}

void GanStep::average() {
  const Range range("EMA");
  state_.ema.update(state_.step);
}

}  // namespace gigacat::train
