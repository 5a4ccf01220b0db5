// Whole training steps of a config on random images or latents and made-up captions: no data, no run folder, no log.
//
//   bench_step configs/gat/imagenet256-s-2.yaml [--steps 3] train.batch=4 train.precision=fp32 loss.align=none
//
// Prints one line of JSON. The floor of a step is its FLOPs at the rate of matrix products, timed between the steps.
#include <ATen/Parallel.h>
#include <torch/version.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "gigacat/dist/device.h"
#include "gigacat/nn/activation_checkpoint.h"
#include "products.h"
#include "train/gan_step.h"
#include "train/phases.h"
#include "train/state.h"
#include "train/stopwatch.h"

using namespace gigacat;

namespace {

constexpr int64_t kConvolutionWidth = 512;

// One rank's networks, without what the trainer does between steps.
class Steps {
 public:
  explicit Steps(run::RunConfig& config);
  void run();
  // GFLOP/s of matrix products at the discriminator's shapes and the config's precision.
  double product_gflops() const;
  double step_gflop() const { return gan_.recipe->cost().flops * static_cast<double>(config_.train.batch) / 1e9; }
  at::Device device() const { return device_; }

 private:
  train::MicroBatch random_batch() const;
  int64_t size(const char* key) const {
    return *std::get<int64_t*>(config_.binder.at(cat("model.discriminator.", key)).value);
  }

  run::RunConfig& config_;
  at::Device device_;
  std::shared_ptr<dist::Group> group_;
  run::Gan gan_;
  std::unique_ptr<train::TrainState> state_;
  std::optional<train::GanStep> step_;
};

Steps::Steps(run::RunConfig& config)
    : config_(config), device_(dist::choose_device(config.train.device, 0)), group_(dist::Group::create({}, device_)) {
  train::keep_freed_memory();
  if (config.train.threads > 0) at::set_num_threads(static_cast<int>(config.train.threads));
  gan_ = run::build_gan(config);
  for (torch::nn::Module* network : {&gan_.model->generator(), &gan_.model->discriminator()}) network->to(device_);
  state_ = std::make_unique<train::TrainState>(config, gan_, group_);
  step_.emplace(config, *state_, *group_);
}

train::MicroBatch Steps::random_batch() const {
  std::vector<int64_t> positions(static_cast<size_t>(config_.train.batch));
  std::iota(positions.begin(), positions.end(), state_->step * config_.train.batch);
  train::MicroBatch micro{
      std::make_unique<nn::StreamDraws>(static_cast<uint64_t>(config_.seed), state_->step, positions, device_), {}};
  const models::ImageShape shape = config_.image_shape();
  recipes::Batch& batch = micro.batch;
  batch.images = micro.draws->normal("bench.images", {}, {shape.channels, shape.height, shape.width});
  batch.labels = micro.draws->integers("bench.labels", 0, shape.num_classes - 1);
  for (int64_t i = 0; i < batch.images.size(0); ++i) batch.captions.push_back(cat("thing number ", i));
  batch.step = state_->step;
  batch.draws = micro.draws.get();
  return micro;
}

void Steps::run() {
  std::vector<train::MicroBatch> batches;
  batches.push_back(random_batch());
  step_->generator(batches, step_->discriminator(batches));
  step_->average();
  ++state_->step;
  const bool may_skip = config_.train.precision == "fp16";  // until its loss scale has settled
  for (const train::NetworkState* half : {&state_->discriminator, &state_->generator})
    if (half->guard.skipped() > 0 && !may_skip)
      fail("step ", state_->step, ": the gradient of the ", half->name, " is not finite");
  train::synchronize(device_);
}

double Steps::product_gflops() const {
  const auto type = config_.train.precision == "bf16"   ? at::kBFloat16
                    : config_.train.precision == "fp16" ? at::kHalf
                                                        : at::kFloat;
  const models::ImageShape shape = config_.image_shape();
  if (config_.binder.find("model.discriminator.patch") == nullptr)  // convolutions: products of a like size
    return bench::product_gflops(4 * config_.train.batch * shape.height, kConvolutionWidth, type, device_);
  const int64_t patch = size("patch"), tokens = 1 + shape.height / patch * (shape.width / patch);
  return bench::product_gflops(4 * config_.train.batch * tokens, size("hidden"), type, device_);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

nlohmann::ordered_json measure(Steps& steps, int64_t count) {
  steps.run();
  const double first = train::process_seconds();
  std::vector<double> seconds, rates{steps.product_gflops()};
  for (int64_t i = 0; i < count; ++i) {
    const auto start = std::chrono::steady_clock::now();
    steps.run();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    rates.push_back(steps.product_gflops());
  }
  const train::Memory memory = train::memory_used(steps.device());
  return {{"step_seconds", seconds},
          {"median_seconds", median(seconds)},
          {"min_seconds", *std::min_element(seconds.begin(), seconds.end())},
          {"first_step_seconds", first},
          {"peak_bytes", static_cast<int64_t>(memory.peak_resident)},
          {"peak_device_bytes", static_cast<int64_t>(memory.peak_device)},
          {"product_gflops", rates},
          {"step_gflop", steps.step_gflop()},
          {"floor_seconds", steps.step_gflop() / median(rates)},
          {"threads", at::get_num_threads()},
          {"torch", TORCH_VERSION}};
}

}  // namespace

int main(int argc, char** argv) {
  std::string file;
  std::vector<std::string> overrides;
  int64_t count = 3;
  CLI::App app("Times whole training steps of a config on random images");
  app.add_option("config", file, "config file")->required();
  app.add_option("overrides", overrides, "PATH=VALUE of the config");
  app.add_option("--steps", count, "timed steps, after the first")->check(CLI::Range(int64_t{1}, int64_t{1'000'000}));
  try {
    app.parse(argc, argv);
    const auto config = run::load_config(file, overrides);
    Steps steps(*config);
    std::cout << measure(steps, count).dump() << "\n";
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_step: %s\n", error.what());
    return dynamic_cast<const UsageError*>(&error) != nullptr ? 2 : 1;
  }
  return 0;
}
