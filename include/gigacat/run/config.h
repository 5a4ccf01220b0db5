// The whole config of a run: what every recipe shares, and the recipe's own sections.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/data/config.h"
#include "gigacat/pretrained/latent_space.h"
#include "gigacat/recipes/recipe.h"

namespace gigacat::run {

// `optimizer:` AdamW, its learning-rate schedule and the moving average of the generator.
struct OptimizerConfig {
  double lr, beta1, beta2, eps, weight_decay, max_grad_norm, ema, final_lr;
  int64_t ema_warmup, warmup, decay_steps;
  std::string schedule, decay;
  void bind(config::Binder& b);
};

// `train.profile:` which steps are traced.
struct ProfileSection {
  int64_t from, steps;
  void bind(config::Binder& b);
};

// `train:` how long, on what and how a step is computed.
struct TrainSection {
  int64_t steps, batch, accumulate, threads, nonfinite_limit;
  std::string device, precision, activation_checkpoint, backend, gradient_compression;
  std::string init;
  std::vector<std::string> stop_on;
  double timeout, bucket_mb;
  bool reuse_fakes, deterministic, shard_optimizer;
  ProfileSection profile;
  void bind(config::Binder& b);
};

// `log:` what is reported, and how often.
struct LogSection {
  int64_t every, samples_every, sample_count;
  double plain_every, peak_tflops, diversity_warning;
  bool tensorboard;
  void bind(config::Binder& b);
};

// `checkpoint:` when one is written and which are kept.
struct CheckpointSection {
  int64_t every, keep_last, keep_every;
  void bind(config::Binder& b);
};

// `eval:` metrics while the run goes on.
struct EvalSection {
  int64_t every, samples, batch;
  std::vector<std::string> metrics, weights;
  std::vector<double> truncation;
  std::string real, protocol, best;
  void bind(config::Binder& b);
};

struct RunConfig {
  std::string recipe_name, name, out;
  int64_t seed;
  data::DataConfig data;
  pretrained::AutoencoderConfig autoencoder;
  OptimizerConfig optimizer;
  TrainSection train;
  LogSection log;
  CheckpointSection checkpoint;
  EvalSection evaluation;
  recipes::GanConfig gan;  // `model:` and `loss:`
  config::Binder binder;   // all fields, bound to this object

  RunConfig() = default;
  RunConfig(const RunConfig&) = delete;  // the binder points into the object
  RunConfig& operator=(const RunConfig&) = delete;

  // Shape of images or latents that the networks see. data.num_classes 0 counts as one class until the data is opened.
  models::ImageShape image_shape() const;
  // What turns the networks' images into pictures. Errors: as LatentSpace.
  pretrained::LatentSpace open_space(at::Device device) const;
  // The model with its generator on the CPU. Errors: as models::ModelConfig::build.
  std::unique_ptr<models::Model> build_model(const nn::Init& init) const;
  // Why train.batch cannot be split among the micro-batches of `world` ranks; "": it can.
  std::string batch_fault(int world) const;
  // Samples of one rank in one forward pass. Errors: UsageError with batch_fault.
  int64_t micro_batch(int world) const;
  // All fields with their values, as stored in run folders and checkpoints.
  std::string to_yaml() const { return config::to_yaml(binder); }
};

// The networks of a run on the CPU, with weights from the streams of its seed, and the losses on them.
struct Gan {
  std::unique_ptr<models::Model> model;
  std::unique_ptr<recipes::Recipe> recipe;
};
// Errors: UsageError when the config's shape does not fit the model.
Gan build_gan(const RunConfig& config);

// Reads and checks a config. Errors: UsageError with every mistake.
std::unique_ptr<RunConfig> load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides);
// From YAML text, as stored in run folders and checkpoints.
std::unique_ptr<RunConfig> parse_config(const std::string& yaml, const std::string& name,
                                        const std::vector<std::string>& overrides = {});
// All defaults of a recipe. Errors: UsageError when there is no such recipe.
std::unique_ptr<RunConfig> default_config(const std::string& recipe);

}  // namespace gigacat::run
