#include "train/setup.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/version.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/dist/device.h"
#include "gigacat/nn/checkpoint.h"
#include "train/batch.h"
#include "train/precision.h"

namespace gigacat::train {
namespace {

// Switches that hold for the whole process.
void configure_process(const RunConfig& config) {
  keep_freed_memory();
  if (config.train.threads > 0) at::set_num_threads(static_cast<int>(config.train.threads));
  nn::set_activation_checkpoint(config.train.activation_checkpoint);
  at::globalContext().setBenchmarkCuDNN(!config.train.deterministic);
  at::globalContext().setDeterministicCuDNN(config.train.deterministic);
  at::globalContext().setDeterministicAlgorithms(config.train.deterministic, /*warn_only=*/false);
  // cuBLAS reads it at its first call.
  if (config.train.deterministic) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
}

dist::GroupOptions group_options(const RunConfig& config) {
  const std::chrono::seconds timeout(static_cast<int64_t>(std::ceil(config.train.timeout)));
  return {.backend = config.train.backend, .timeout = timeout, .rendezvous = timeout};
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::ostringstream out;
  out << std::put_time(&parts, "%Y-%m-%dT%H:%M:%SZ");
  return out.str();
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

void build_networks(RunConfig& config, at::Device device) {
  recipes::Recipe& recipe = *config.recipe;
  recipe.build(config.image_shape(), static_cast<uint64_t>(config.seed));
  for (torch::nn::Module* network : {&recipe.generator(), &recipe.discriminator()}) {
    network->to(device);
    network->train();
  }
}

// Rank 0 chooses the folder and reads the checkpoint; whether there is one is all that the others need to know.
void find_place(Foundation& made, const RunConfig& config, const TrainOptions& options, const Phases& phases) {
  dist::run_on_first(*made.group, "run folder", [&] {
    made.place = open_run(config, *made.group, options, [&made] { return made.data_identity.get(); });
    log::open_file(made.place->folder.log());
    phases.replay();
    log::info(made.place->resumed ? "going on with run " : "run folder ", made.place->folder.path().string());
  });
}

void load_weights(Foundation& made, const RunConfig& config) {
  bool resumed = made.place && made.place->checkpoint;
  resumed = made.group->broadcast_text(resumed ? "resumed" : "", "resume").size() > 0;
  dist::run_on_first(*made.group, "reading the checkpoint", [&] {
    if (made.place->checkpoint) restore(*made.state, *made.place->checkpoint);
    made.place->checkpoint.reset();
  });
  broadcast(*made.state, *made.group, resumed);
  dist::run_on_first(*made.group, "files of the run", [&] {
    if (!made.place->resumed) return;
    // Only now is it sure that the run can go on like this.
    write_atomically(made.place->folder.config(), config.to_yaml());
    made.place->folder.trim_metrics(made.state->step);
  });
  if (resumed)
    log::info("going on after step ", made.state->step, " (", static_cast<double>(made.state->images) / 1000, " kimg)");
  else if (made.place && made.place->resumed)
    log::info("the run has no checkpoint yet: it begins again");
  if (resumed && made.state->step >= config.train.steps)
    log::info("nothing to do: the run has taken ", made.state->step, " of train.steps=", config.train.steps,
              " steps; give a larger train.steps to go on");
}

std::unique_ptr<data::Loader> make_loader(const Foundation& made, const RunConfig& config) {
  data::LoaderOptions options;
  options.seed = static_cast<uint64_t>(config.seed);
  options.global_batch = config.train.batch;
  options.rank = made.group->rank();
  options.world = made.group->size();
  options.first_step = made.state->step;
  options.last_step = config.train.steps - 1;
  options.allocate = batch_memory(made.device);
  return std::make_unique<data::Loader>(made.source, config.data, options);
}

}  // namespace

std::shared_ptr<const data::Source> open_data(RunConfig& config) {
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

Foundation set_up(RunConfig& config, const dist::Environment& environment, const TrainOptions& options,
                  Phases& phases) {
  Foundation made;
  made.started = utc_now();
  log::set_rank(environment.rank, environment.world);
  config.micro_batch(environment.world);
  configure_process(config);
  phases.run("device", [&] { made.device = dist::choose_device(config.train.device, environment.local_rank); });
  phases.run("rendezvous", [&] { made.group = dist::Group::create(environment, made.device, group_options(config)); });
  phases.run(
      "data index", [&] { made.source = open_data(config); }, made.group.get());
  if (made.group->is_first())  // reads the size of every file: beside the first steps, not before them
    made.data_identity = std::async(std::launch::async, [source = made.source] { return source->identity(); });
  phases.run(
      "run folder", [&] { find_place(made, config, options, phases); }, made.group.get());
  phases.run(
      "networks",
      [&] {
        made.space = std::make_unique<pretrained::LatentSpace>(config.open_space(made.device));
        build_networks(config, made.device);
        made.state = std::make_unique<TrainState>(config, made.group);
      },
      made.group.get());
  phases.run(
      "weights broadcast", [&] { load_weights(made, config); }, made.group.get());
  made.first_step = made.state->step;
  if (made.state->step < config.train.steps) made.loader = make_loader(made, config);
  return made;
}

void write_run_info(const Foundation& made, const RunConfig& config, const dist::Environment& environment,
                    const TrainOptions& options, const std::string& data_identity) {
  nlohmann::ordered_json info;
  info["version"] = GIGACAT_VERSION;
  info["torch"] = TORCH_VERSION;
  info["command"] = options.command;
  info["recipe"] = config.recipe_name;
  info["started"] = made.started;
  info["host"] = host_name();
  info["process"] = getpid();
  info["device"] = made.device.str();
  info["ranks"] = environment.world;
  info["launcher"] = environment.launcher;
  info["restart"] = environment.restart;
  info["threads"] = at::get_num_threads();
  info["first_step"] = made.first_step;
  info["data"] = {{"path", config.data.path},
                  {"samples", made.source->size()},
                  {"classes", config.data.num_classes},
                  {"identity", data_identity}};
  if (const auto made_by = nlohmann::json::parse(made.source->provenance(), nullptr, false); !made_by.is_discarded())
    info["data"]["provenance"] = made_by;
  made.place->folder.write_info(info);
}

}  // namespace gigacat::train
