// How a batch becomes gradients, and gradients an update: D, then G, on the same reals and latents.
#pragma once

#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/nn/activation_checkpoint.h"
#include "gigacat/run/config.h"
#include "train/batch.h"
#include "train/precision.h"
#include "train/state.h"

namespace gigacat::train {

// Whether the figures of step `step` (from 1) go into the log.
bool is_logged(const run::RunConfig& config, int64_t step);

// Works on `state`, whose step counts the steps done; the caller raises it. Errors: those of the losses; Error when
// gradients have not been finite for train.nonfinite_limit steps.
class GanStep {
 public:
  GanStep(const run::RunConfig& config, TrainState& state, dist::Group& group);
  // One update of D. Returns the fakes of the micro-batches, [K, B, C, H, W] each, with their graph when generator()
  // uses it again.
  std::vector<at::Tensor> discriminator(const std::vector<MicroBatch>& batches);
  // One update of G and of its running means. `fakes` are the discriminator's; returns G's, without a graph.
  std::vector<at::Tensor> generator(const std::vector<MicroBatch>& batches, std::vector<at::Tensor> fakes);
  // The exponential moving average of G.
  void average();

 private:
  at::Tensor generate(const recipes::Batch& batch, bool with_graph);
  void differentiate(NetworkState& half, const recipes::Loss& loss, bool last);
  void update(NetworkState& half, const recipes::Batch& batch, const at::Tensor& fakes);

  const run::RunConfig& config_;
  TrainState& state_;
  dist::Group& group_;
  recipes::Recipe& recipe_;
  Precision precision_;
  nn::CheckpointPolicy checkpointing_;
  bool reuse_fakes_;
};

}  // namespace gigacat::train
