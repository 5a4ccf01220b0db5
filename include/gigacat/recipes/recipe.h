// A recipe says which losses act on which networks, in what order. The trainer knows recipes by this interface only.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/dist/group.h"
#include "gigacat/models/model.h"
#include "gigacat/nn/random_draws.h"

namespace gigacat::recipes {

// What a step's samples are to each other: those of all ranks and micro-batches, in the order of the data.
struct WholeBatch {
  std::vector<std::string> captions;  // [N] or empty
  nn::StreamDraws draws;              // of all N, on the CPU
};

// A batch on the device: micro-batches of all ranks make up the whole one.
struct Batch {
  at::Tensor images;    // real images or latents [B, C, H, W], float32; images in [-1, 1]
  at::Tensor labels;    // [B], int64
  at::Tensor raw;       // real RGB images uint8 [B, 3, R, R], where the data holds them; else undefined
  at::Tensor features;  // frozen features [B, 1 + N, F], class token first, where the data holds them; else undefined
  std::vector<std::string> captions;        // [B] or empty
  std::shared_ptr<const WholeBatch> whole;  // where there are captions; none: this batch is all of it
  int64_t first = 0;                        // place of the first sample in the whole batch; the others follow it
  int64_t step = 0;
  const nn::RandomDraws* draws = nullptr;
  dist::Group* group = nullptr;  // of the ranks that share the step; none: this process only
};

// A scalar to differentiate and named values for the log: detached, a scalar or one value per sample [B]; the log
// shows their mean.
struct Loss {
  at::Tensor total;
  std::vector<std::pair<std::string, at::Tensor>> terms;
};

// Of one sample's whole step.
struct StepCost {
  double flops = 0;             // 2 per multiply-add
  double activation_bytes = 0;  // float32, both halves of the step, without checkpointing
};

// B batch, K images of a sample (stages, pyramid levels), C channels, H x W. Built with its model's discriminator.
class Recipe {
 public:
  virtual ~Recipe() = default;
  // Fakes of a batch: [K, B, C, H, W], coarse first, or one row of a pyramid's levels for each sample [1, B, n]: what
  // the recipe's own losses take. With or without a graph to the generator's weights.
  virtual at::Tensor generate(const Batch& batch, bool with_graph) = 0;
  // A part of the discriminator's loss whose gradient is taken by itself, before the rest is computed: its graph need
  // not live beside the other. `total` is undefined where this step has none.
  virtual Loss discriminator_penalty(const Batch& /*batch*/) { return {}; }
  // Losses. `fakes` come from generate(); the discriminator's are detached by the trainer.
  virtual Loss discriminator_loss(const Batch& batch, const at::Tensor& fakes) = 0;
  virtual Loss generator_loss(const Batch& batch, const at::Tensor& fakes) = 0;
  // Once per step, after the last generate() with a graph and before the generator's update: running means that no
  // gradient moves, made from all ranks' samples so that they stay equal.
  virtual void update_buffers(dist::Group& /*group*/) {}
  // Values about the fakes for the log, every log interval.
  virtual std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor& /*fakes*/) { return {}; }
  virtual StepCost cost() const = 0;
};

// `loss:` of a config.
struct LossConfig {
  virtual ~LossConfig() = default;
  virtual void bind(config::Binder& b) = 0;
  // The recipe on `model`, whose discriminator it builds on the CPU with weights from `init`. Config and model must
  // outlive it. Errors: UsageError when the sizes do not fit.
  virtual std::unique_ptr<Recipe> build(models::Model& model, const nn::Init& init) const = 0;
  // How trajectory metrics bring a stage back to full size: "bilinear" or "nearest".
  virtual std::string trajectory_back() const { return "bilinear"; }
};

// The two sections of a config that a GAN brings.
struct GanConfig {
  std::unique_ptr<models::ModelConfig> model;
  std::unique_ptr<LossConfig> loss;  // its checks may look at `model`
};

// Names of all recipes, in the order of the table in recipes/registry.cpp.
std::vector<std::string> recipe_names();
// Errors: UsageError with the nearest name.
GanConfig make_gan_config(const std::string& name);
// For programs that bring a GAN of their own.
void register_recipe(const std::string& name, GanConfig (*make)());

}  // namespace gigacat::recipes
