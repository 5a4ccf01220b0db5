#include "train/state.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "gigacat/nn/state.h"

namespace gigacat::train {
namespace {

TensorMap on_host(const TensorMap& tensors) {
  TensorMap copies;
  for (const auto& [name, tensor] : tensors)
    copies[name] = tensor.device().is_cpu() ? tensor.detach().clone() : tensor.detach().to(at::kCPU);
  return copies;
}

void append(std::vector<at::Tensor>& all, const TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors) all.push_back(tensor);
}

nlohmann::json counters(const TrainState& state) {
  return {{"step", state.step},
          {"images", state.images},
          {"skipped",
           {{"generator", state.generator.guard.state()}, {"discriminator", state.discriminator.guard.state()}}}};
}

void set_counters(TrainState& state, const nlohmann::json& counters) {
  state.step = counters.at("step").get<int64_t>();
  state.images = counters.at("images").get<int64_t>();
  for (NetworkState* half : {&state.generator, &state.discriminator})
    half->guard.load_state(counters.at("skipped").at(half->name));
}

int64_t nonfinite_limit(const run::TrainSection& train) {
  const bool stops = std::ranges::count(train.stop_on, "nonfinite") > 0;
  return stops ? train.nonfinite_limit : std::numeric_limits<int64_t>::max();
}

}  // namespace

NetworkState::NetworkState(models::Network which, models::Model& model, const run::RunConfig& config,
                           const std::shared_ptr<dist::Group>& group)
    : name(which == models::Network::generator ? "generator" : "discriminator"),
      network(which == models::Network::generator ? model.generator() : model.discriminator()),
      lr_scale(model.lr_scale(which)),
      optimizer(network, config.optimizer,
                {.scale_loss = config.train.precision == "fp16",
                 .shared_among = config.train.shard_optimizer ? group : nullptr,
                 .attention = models::attention_parameters(model, network)}),
      reducer(group, optimizer.parameters(), config.train.bucket_mb, config.train.gradient_compression == "bf16",
              /*find_unused=*/false, optimizer.names()),
      guard(name, nonfinite_limit(config.train), group->device()) {}

TrainState::TrainState(const run::RunConfig& config, const run::Gan& gan, const std::shared_ptr<dist::Group>& group)
    : model(*gan.model),
      recipe(*gan.recipe),
      generator(models::Network::generator, model, config, group),
      discriminator(models::Network::discriminator, model, config, group),
      ema(
          model.generator(),
          [&] {
            auto average = model.make_generator(nn::Init::zeros());
            average->to(group->device());
            average->eval();
            return average;
          }(),
          config.optimizer) {}

run::Checkpoint capture(const TrainState& state, const run::RunConfig& config, int world,
                        const std::string& data_identity) {
  run::Checkpoint checkpoint;
  checkpoint.step = state.step;
  checkpoint.config_yaml = config.to_yaml();
  checkpoint.tensors["ema"] = on_host(nn::state_of(state.ema.module()));
  for (const NetworkState* half : {&state.generator, &state.discriminator}) {
    checkpoint.tensors[half->name] = on_host(nn::state_of(half->network));
    checkpoint.tensors["optimizer_" + half->name] = on_host(half->optimizer.state());
  }
  checkpoint.state = counters(state);
  checkpoint.state["ranks"] = world;
  checkpoint.state["seed"] = config.seed;
  // Streams and the loader are functions of the seed and the step: nothing else has to be kept of them.
  checkpoint.state["loader"] = {{"position", state.step * config.train.batch}};
  checkpoint.state["data"] = {{"identity", data_identity}};
  checkpoint.state["version"] = GIGACAT_VERSION;
  return checkpoint;
}

void restore(TrainState& state, const run::Checkpoint& checkpoint) {
  const std::string what = cat("checkpoint of step ", checkpoint.step, ", ");
  const auto& tensors = checkpoint.tensors;
  nn::load_state(state.ema.module(), tensors.at("ema"), what + "ema");
  for (NetworkState* half : {&state.generator, &state.discriminator}) {
    nn::load_state(half->network, tensors.at(half->name), what + half->name);
    half->optimizer.load_state(tensors.at("optimizer_" + half->name), what + "optimizer_" + half->name);
  }
  set_counters(state, checkpoint.state);
}

void broadcast(TrainState& state, dist::Group& group, bool resumed) {
  if (group.size() == 1) return;
  std::vector<at::Tensor> tensors;
  for (NetworkState* half : {&state.generator, &state.discriminator}) {
    append(tensors, nn::state_of(half->network));
    if (!resumed) continue;
    half->optimizer.distribute();
    if (!half->optimizer.is_shared()) append(tensors, half->optimizer.state());
  }
  if (resumed) append(tensors, nn::state_of(state.ema.module()));
  dist::broadcast_state(group, tensors, "weights");
  if (!resumed) return state.ema.reset();
  set_counters(state, nlohmann::json::parse(group.broadcast_text(counters(state).dump(), "counters")));
}

}  // namespace gigacat::train
