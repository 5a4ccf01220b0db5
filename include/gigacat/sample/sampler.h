// Draws images from a generator: for sample grids and evaluation while training, and for every command that draws.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/io/image.h"
#include "gigacat/models/model.h"
#include "gigacat/pretrained/latent_space.h"
#include "gigacat/run/config.h"
#include "gigacat/run/weight_source.h"
#include "gigacat/sample/class_list.h"
#include "gigacat/upsample/upsample.h"

namespace gigacat::sample {

// A sample's latent is number `index` of `seed`; `label` is its class, or of a model of text the number of its prompt.
struct SampleSpec {
  int64_t seed = 0, index = 0, label = 0;
};

struct SamplerOptions {
  double truncation = 1, guidance = 1;  // 1 is off
  bool all_stages = false;
  std::vector<std::string> prompts;  // of a model of text; empty: the model's own
  int64_t batch = 32;                // samples of one call on a GPU; a CPU takes 8: equal bits for any number
};

// K stages, B samples, C channels, H x W image, n style layers.
class Sampler {
 public:
  // A generator of `model` on `device`; all must outlive the sampler. Errors: UsageError for prompts of a model without
  // text.
  Sampler(models::Model& model, torch::nn::Module& generator, const pretrained::LatentSpace& space, at::Device device,
          SamplerOptions options);
  // Reads the generator of `source` and nothing else. Errors: as above, UsageError for latents that no autoencoder
  // decodes, and those of run::parse_config and nn::assign_state.
  static Sampler open(const run::WeightSource& source, const std::vector<std::string>& overrides, at::Device device,
                      SamplerOptions options);

  // Samples of one call of the networks; fewer are filled up.
  int64_t rows() const { return rows_; }
  // Classes with their names where open() found them, or prompts of a model of text.
  const Conditions& conditions() const { return conditions_; }
  int64_t num_conditions() const { return conditions_.count; }
  const std::vector<std::string>& prompts() const { return options_.prompts; }
  int64_t stages() const;  // images of a sample
  int64_t height() const { return model_->shape().height * space_->factor() * scale_; }
  int64_t width() const { return model_->shape().width * space_->factor() * scale_; }
  at::Device device() const { return device_; }
  // Kind and weights of the autoencoder.
  std::string space() const { return space_->name(); }
  // Enlarges every image that draw(specs) gives, with its prompt.
  void set_upsampler(std::shared_ptr<upsample::Upsampler> upsampler);
  const upsample::Upsampler* upsampler() const { return upsampler_.get(); }

  // The images of samples: one vector of stages for each, coarse first.
  std::vector<std::vector<io::Image>> draw(std::span<const SampleSpec> specs) const;
  // The last stage only.
  std::vector<io::Image> draw_last(std::span<const SampleSpec> specs) const;
  // What the generator gives, before decoding: the last stage [B, C, h, w]; and such a batch decoded.
  at::Tensor generate(std::span<const SampleSpec> specs) const;
  at::Tensor decode(const at::Tensor& x) const { return space_->decode(x); }

  models::Style style(std::span<const SampleSpec> specs, double truncation) const;
  // One image for each style.
  std::vector<io::Image> draw(const models::Style& style) const;
  // Images [B, 3, H, W] in [-1, 1] on the device, differentiable by the style. Errors: UsageError for a model of
  // latents.
  at::Tensor render(const models::Style& style) const;
  int64_t style_layers() const { return model_->style_layers(); }

  bool has_trajectory() const { return model_->has_trajectory(); }
  // losses::trajectory_metrics of samples.
  std::vector<std::pair<std::string, double>> trajectory(std::span<const SampleSpec> specs) const;

 private:
  struct File;
  struct Inputs {
    at::Tensor z, labels;  // [B, Z], [B]
    models::SampleOptions options;
  };
  Inputs inputs(std::span<const SampleSpec> specs) const;
  at::Tensor images(std::span<const SampleSpec> specs, bool all_stages) const;  // [K, B, C, h, w]

  std::shared_ptr<File> file_;  // what open() made
  models::Model* model_;
  torch::nn::Module* generator_;
  const pretrained::LatentSpace* space_;
  at::Device device_;
  SamplerOptions options_;
  Conditions conditions_;
  int64_t rows_, scale_ = 1;
  mutable int64_t stages_ = 0;  // 0: not asked for yet, which costs a pass of the generator
  std::string trajectory_back_ = "bilinear";
  std::shared_ptr<upsample::Upsampler> upsampler_;
};

}  // namespace gigacat::sample
