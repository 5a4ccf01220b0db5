// A recipe says which losses act on which networks. The trainer knows recipes by this interface alone.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <torch/nn/module.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/core/error.h"
#include "gigacat/dist/group.h"
#include "gigacat/models/shape.h"
#include "gigacat/models/style.h"
#include "gigacat/recipes/draws.h"
#include "gigacat/recipes/enlarger.h"

namespace gigacat::recipes {

// A batch on the device.
struct Batch {
  at::Tensor images;    // real images or latents [B, C, H, W], float32; images in [-1, 1]
  at::Tensor labels;    // [B], int64
  at::Tensor raw;       // real RGB images uint8 [B, 3, R, R], where the data holds them; else undefined
  at::Tensor features;  // frozen features [B, 1 + N, F], class token first, where the data holds them; else undefined
  std::vector<std::string> captions;  // [B] or empty
  int64_t step = 0;
  const Draws* draws = nullptr;
  dist::Group* group = nullptr;  // of the ranks that share the step; none: this process alone
};

// A scalar to differentiate and named figures for the log: detached, a scalar or one value per sample [B]; the log
// shows their mean.
struct Loss {
  at::Tensor total;
  std::vector<std::pair<std::string, at::Tensor>> terms;
};

struct SampleOptions {
  double truncation = 1.0;  // psi; 1 is off
  double guidance = 1.0;    // style guidance scale; 1 is off
  bool all_stages = false;
  std::vector<std::string> captions;  // [B], of models of text; "" or none: unconditional
};

using models::ImageShape;
using models::Style;

// Sizes that `info` and the MFU figure need.
struct Cost {
  double generator_forward = 0;  // FLOPs of one sample's forward pass (2 per multiply-add)
  double discriminator_forward = 0;
  double step = 0;              // of one sample's whole training step
  double activation_bytes = 0;  // float32, of one sample, both halves of the step, without checkpointing
};

// B batch, K images of a sample (stages, pyramid levels), C channels, H x W; the trainer calls it in the order of its
// methods.
class Recipe {
 public:
  virtual ~Recipe() = default;
  virtual std::string name() const = 0;
  // Declares `model:` and `loss:`. Called before anything else.
  virtual void bind(config::Binder& b) = 0;
  // Builds both networks on the CPU with weights from the streams "init.G" and "init.D".
  // Errors: UsageError when the shape does not fit the model (latent not divisible by the patch, ...).
  virtual void build(const ImageShape& shape, uint64_t seed) = 0;

  virtual torch::nn::Module& generator() = 0;
  virtual torch::nn::Module& discriminator() = 0;
  // A second generator of the same architecture, for the EMA.
  virtual std::shared_ptr<torch::nn::Module> make_generator() = 0;

  // Factor on the base learning rate of each network.
  virtual double generator_lr_scale() const { return 1; }
  virtual double discriminator_lr_scale() const { return 1; }

  // Captions that sample grids of a model of text are drawn for, cycled; empty: samples are drawn for labels.
  virtual std::vector<std::string> prompts() const { return {}; }

  // Fakes of a batch: [K, B, C, H, W], coarse first, or one row of a pyramid's levels for each sample [1, B, n]: what
  // the recipe's own losses take. With or without a graph to the generator's weights.
  virtual at::Tensor generate(const Batch& batch, bool with_graph) = 0;
  // Losses. `fakes` come from generate(); the discriminator's are detached by the trainer.
  virtual Loss discriminator_loss(const Batch& batch, const at::Tensor& fakes) = 0;
  virtual Loss generator_loss(const Batch& batch, const at::Tensor& fakes) = 0;
  // Once per step, after the last generate() with a graph and before the generator's update: running means that no
  // gradient moves, made from all ranks' samples so that they stay equal.
  virtual void update_buffers(dist::Group& /*group*/) {}
  // Figures about the fakes for the log (trajectory diagnostics), every log interval.
  virtual std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor& fakes) = 0;
  // Whether a sample's images are stages of one trajectory, so that sample() with all_stages gives what diagnostics()
  // takes, and its figures are "discrepancy", "rewrite" and "direction".
  virtual bool has_trajectory() const { return false; }

  // Of recipes whose samples begin with an image: how many real samples of the run they are drawn of, and those, before
  // the first sample() of training. The same ones whenever the run is gone on with.
  virtual int64_t wanted_examples() const { return 0; }
  virtual void show(const Batch& /*examples*/) {}

  // Latent of sample i of a seed: [B, z].
  virtual at::Tensor latent(uint64_t seed, const std::vector<int64_t>& indices, at::Device device) = 0;
  // What the layers of `generator` (usually the EMA) are told of samples, truncated and guided: what edits are made of.
  // Errors: UsageError when the recipe's networks have no styles.
  virtual Style style(torch::nn::Module& /*generator*/, const at::Tensor& /*z*/, const at::Tensor& /*labels*/,
                      const SampleOptions& /*options*/) {
    fail<UsageError>("recipe ", name(), " has no styles to edit");
  }
  // Images of styles: [K, B, C, H, W] with all_stages, else [1, B, C, H, W]; differentiable by the style where
  // gradients are on. Errors: as above.
  virtual at::Tensor draw(torch::nn::Module& /*generator*/, const Style& /*style*/, bool /*all_stages*/) {
    fail<UsageError>("recipe ", name(), " has no styles to edit");
  }
  // Layers that can be told different things; 1: all are told the same.
  virtual int64_t style_layers() const { return 1; }
  // Images of samples, as draw() gives them.
  virtual at::Tensor sample(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                            const SampleOptions& options) {
    const at::NoGradGuard no_grad;
    return draw(generator, style(generator, z, labels, options), options.all_stages);
  }

  // The generator as what makes tiles of images larger; lives no longer than the recipe. Errors: UsageError when it
  // makes images of noise.
  virtual std::unique_ptr<Enlarger> enlarger() {
    fail<UsageError>("recipe ", name(), " makes images of noise: only recipe upsampler makes images larger");
  }

  // Arithmetic and memory of one sample. Called after build().
  virtual Cost cost() const = 0;
};

// Names of all recipes, in the order of the table in recipes/registry.cpp.
std::vector<std::string> recipe_names();
// Errors: UsageError with the nearest name.
std::unique_ptr<Recipe> make_recipe(const std::string& name);
// For programs that bring a recipe of their own.
void register_recipe(const std::string& name, std::unique_ptr<Recipe> (*make)());

}  // namespace gigacat::recipes
