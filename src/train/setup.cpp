#include "train/setup.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/version.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/host.h"
#include "gigacat/core/log.h"
#include "gigacat/dist/device.h"
#include "gigacat/run/class_names.h"
#include "train/batch.h"
#include "train/initial_weights.h"
#include "train/precision.h"

namespace gigacat::train {
namespace {

// Switches that hold for the whole process.
void configure_process(const run::RunConfig& config) {
  keep_freed_memory();
  if (config.train.threads > 0) at::set_num_threads(static_cast<int>(config.train.threads));
  at::globalContext().setBenchmarkCuDNN(!config.train.deterministic);
  at::globalContext().setDeterministicCuDNN(config.train.deterministic);
  at::globalContext().setDeterministicAlgorithms(config.train.deterministic, /*warn_only=*/false);
  // cuBLAS reads it at its first call.
  if (config.train.deterministic) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
}

dist::GroupOptions group_options(const run::RunConfig& config) {
  const std::chrono::seconds timeout(static_cast<int64_t>(std::ceil(config.train.timeout)));
  return {.backend = config.train.backend, .timeout = timeout, .rendezvous = timeout};
}

run::Gan build_networks(const run::RunConfig& config, at::Device device) {
  run::Gan gan = run::build_gan(config);
  for (torch::nn::Module* network : {&gan.model->generator(), &gan.model->discriminator()}) {
    network->to(device);
    network->train();
  }
  return gan;
}

// Rank 0 chooses the folder and reads the checkpoint; whether there is one is all that the others need to know.
void find_place(RunContext& context, const run::RunConfig& config, const TrainOptions& options, const Phases& phases) {
  dist::run_on_first(*context.group, "run folder", [&] {
    context.place = open_run(config, *context.group, options, [&context] { return context.data_identity.get(); });
    log::open_file(context.place->folder.log());
    log::info(context.place->resumed ? "going on with run " : "run folder ", context.place->folder.path().string());
    phases.replay();
  });
}

void load_weights(RunContext& context, const run::RunConfig& config) {
  bool resumed = context.place && context.place->checkpoint;
  resumed = context.group->broadcast_text(resumed ? "resumed" : "", "resume").size() > 0;
  dist::run_on_first(*context.group, "reading the checkpoint", [&] {
    if (context.gan.model->has_classes()) context.class_names = context.source->class_names();
    if (context.place->checkpoint) {
      restore(*context.state, *context.place->checkpoint);
      if (context.class_names.empty()) context.class_names = std::move(context.place->checkpoint->class_names);
    } else if (!config.train.init.empty())
      start_from(*context.state, config.train.init, context.class_names, context.place->folder.path());
    context.place->checkpoint.reset();
  });
  broadcast(*context.state, *context.group, resumed);
  dist::run_on_first(*context.group, "files of the run", [&] {
    // Only now is it sure that the run can go on like this.
    if (!context.class_names.empty()) run::write_class_names(context.place->folder.path(), context.class_names);
    if (!context.place->resumed) return;
    write_atomically(context.place->folder.config(), config.to_yaml());
    context.place->folder.trim_metrics(context.state->step);
  });
  if (resumed)
    log::info("going on after step ", context.state->step, " (", static_cast<double>(context.state->images) / 1000,
              " kimg)");
  else if (context.place && context.place->resumed)
    log::info("the run has no checkpoint yet: it begins again");
  if (resumed && context.state->step >= config.train.steps)
    log::info("nothing to do: the run has taken ", context.state->step, " of train.steps=", config.train.steps,
              " steps; give a larger train.steps to go on");
}

std::unique_ptr<data::Loader> make_loader(const RunContext& context, const run::RunConfig& config) {
  data::LoaderOptions options;
  options.seed = static_cast<uint64_t>(config.seed);
  options.global_batch = config.train.batch;
  options.rank = context.group->rank();
  options.world = context.group->size();
  options.first_step = context.state->step;
  options.last_step = config.train.steps - 1;
  options.allocate = batch_memory(context.device);
  return std::make_unique<data::Loader>(context.source, config.data, options);
}

}  // namespace

std::shared_ptr<const data::Source> open_data(run::RunConfig& config) {
  std::shared_ptr<const data::Source> source = data::open_source(config.data);
  if (!data::is_latent(source->content()) && config.autoencoder.kind != "identity")
    fail<UsageError>("autoencoder.kind is ", config.autoencoder.kind, ", but ", config.data.path,
                     " holds images: make latents of them first with gigacat data encode");
  const data::SampleLayout layout = data::check_source(*source, config.data);
  if (config.data.num_classes == 0) {
    config.data.num_classes = layout.num_classes;
    for (config::Field& field : config.binder.fields())
      if (field.path == "data.num_classes") field.origin = "the data";
  }
  return source;
}

RunContext set_up(run::RunConfig& config, const dist::Environment& environment, const TrainOptions& options,
                  Phases& phases) {
  RunContext context;
  context.started = run::utc_now();
  log::set_rank(environment.rank, environment.world);
  config.micro_batch(environment.world);
  configure_process(config);
  phases.run("device", [&] { context.device = dist::choose_device(config.train.device, environment.local_rank); });
  phases.run("rendezvous",
             [&] { context.group = dist::Group::create(environment, context.device, group_options(config)); });
  phases.run(
      "data index", [&] { context.source = open_data(config); }, context.group.get());
  if (context.group->is_first())  // reads the size of every file: beside the first steps, not before them
    context.data_identity =
        std::async(std::launch::async, [source = context.source] { return data::identity_of(*source); });
  phases.run(
      "run folder", [&] { find_place(context, config, options, phases); }, context.group.get());
  phases.run(
      "networks",
      [&] {
        context.space = std::make_unique<pretrained::LatentSpace>(config.open_space(context.device));
        context.gan = build_networks(config, context.device);
        context.state = std::make_unique<TrainState>(config, context.gan, context.group);
      },
      context.group.get());
  phases.run(
      "weights broadcast", [&] { load_weights(context, config); }, context.group.get());
  context.first_step = context.state->step;
  if (context.state->step < config.train.steps) context.loader = make_loader(context, config);
  return context;
}

void write_run_info(const RunContext& context, const run::RunConfig& config, const dist::Environment& environment,
                    const TrainOptions& options, const std::string& data_identity) {
  nlohmann::ordered_json info;
  info["version"] = GIGACAT_VERSION;
  info["torch"] = TORCH_VERSION;
  info["command"] = options.command;
  info["recipe"] = config.recipe_name;
  info["started"] = context.started;
  info["host"] = host_name();
  info["process"] = getpid();
  info["device"] = context.device.str();
  info["ranks"] = environment.world;
  info["launcher"] = environment.launcher;
  info["restart"] = environment.restart;
  info["threads"] = at::get_num_threads();
  info["first_step"] = context.first_step;
  info["data"] = {{"path", config.data.path},
                  {"samples", context.source->size()},
                  {"classes", config.data.num_classes},
                  {"identity", data_identity}};
  const auto provenance = nlohmann::json::parse(context.source->provenance(), nullptr, false);
  if (!provenance.is_discarded()) info["data"]["provenance"] = provenance;
  context.place->folder.write_info(info);
}

}  // namespace gigacat::train
