// Everything of a run that changes from step to step, as the loop uses it and as a checkpoint holds it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/models/model.h"
#include "gigacat/recipes/recipe.h"
#include "gigacat/run/checkpoint.h"
#include "gigacat/run/config.h"
#include "gigacat/train/optimizer.h"
#include "train/ema.h"
#include "train/guard.h"

namespace gigacat::train {

// One network's side of a step.
struct NetworkState {
  NetworkState(models::Network which, models::Model& model, const run::RunConfig& config,
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
  // The networks must be on the group's device; `gan` must outlive the state.
  TrainState(const run::RunConfig& config, const run::Gan& gan, const std::shared_ptr<dist::Group>& group);

  models::Model& model;
  recipes::Recipe& recipe;
  NetworkState generator, discriminator;
  Ema ema;
  int64_t step = 0, images = 0;  // done
};

// A copy on the host; training may go on at once. Where ranks share the optimisers, each has called gather() on them.
run::Checkpoint capture(const TrainState& state, const run::RunConfig& config, int world,
                        const std::string& data_identity);

// Takes over a checkpoint. Errors: Error when it does not fit the networks.
void restore(TrainState& state, const run::Checkpoint& checkpoint);

// Makes all ranks equal to rank 0. `resumed`: optimisers and averages too. A collective. Errors: as Group.
void broadcast(TrainState& state, dist::Group& group, bool resumed);

}  // namespace gigacat::train
