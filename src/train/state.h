// Everything of a run that changes from step to step, as the loop uses it and as a checkpoint holds it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/recipes/recipe.h"
#include "gigacat/train/checkpoint.h"
#include "gigacat/train/config.h"
#include "gigacat/train/optimizer.h"
#include "train/ema.h"
#include "train/guard.h"

namespace gigacat::train {

// One network's side of a step.
struct Half {
  Half(std::string title, torch::nn::Module& module, double scale, const RunConfig& config,
       const std::shared_ptr<dist::Group>& group);

  std::string name;  // "generator", "discriminator"
  torch::nn::Module& network;
  double lr_scale;
  double lr = 0;  // of the present step
  Optimizer optimizer;
  dist::GradientReducer reducer;
  NonfiniteGuard guard;
  std::vector<recipes::Loss> losses;  // of the present step's micro-batches, without graph
};

struct TrainState {
  // The recipe's networks must be built and on the group's device.
  TrainState(const RunConfig& config, const std::shared_ptr<dist::Group>& group);

  recipes::Recipe& recipe;
  Half generator, discriminator;
  Ema ema;
  int64_t step = 0, images = 0;  // done
};

// A copy on the host; training may go on at once. Where ranks share the optimisers, each has called gather() on them.
Checkpoint capture(const TrainState& state, const RunConfig& config, int world, const std::string& data_identity);

// Takes over a checkpoint. Errors: Error when it does not fit the networks.
void restore(TrainState& state, const Checkpoint& checkpoint);

// Makes all ranks equal to rank 0. `resumed`: optimisers and averages too. A collective. Errors: as Group.
void broadcast(TrainState& state, dist::Group& group, bool resumed);

}  // namespace gigacat::train
