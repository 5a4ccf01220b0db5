// A generator on its device, ready to draw.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apply/sample_plan.h"
#include "gigacat/apply/upsample.h"
#include "gigacat/io/image.h"
#include "gigacat/pretrained/latent_space.h"
#include "gigacat/train/config.h"

namespace gigacat::apply {

class Sampler {
 public:
  // Builds the model of source.config and loads source.weights. Errors: UsageError when its output is no image, Error
  // when the weights do not fit.
  Sampler(const WeightSource& source, const SampleRequest& request, at::Device device);

  // Samples of one call of the networks; fewer are filled up.
  int64_t rows() const { return rows_; }
  // Classes, or prompts of a model of text.
  int64_t num_classes() const { return prompts_.empty() ? shape_.num_classes : std::ssize(prompts_); }
  // Of the images of a sample.
  int64_t stages() const { return stages_; }
  // Kind and weights of the autoencoder.
  std::string space() const { return space_.name(); }
  int64_t height() const { return shape_.height * space_.factor() * scale_; }
  int64_t width() const { return shape_.width * space_.factor() * scale_; }
  // Makes the images larger, or null. It is told each image's prompt.
  const Upsampler* upsampler() const { return upsampler_.get(); }

  // The images of at most rows() items: one vector of stages for each, coarse first.
  std::vector<std::vector<io::Image>> draw(std::span<const Item> items) const;

  // What the layers are told of items: see recipes::Recipe::style.
  models::Style style(std::span<const Item> items, double truncation) const;
  // One image for each style.
  std::vector<io::Image> draw(const models::Style& style) const;
  // Images [B, 3, H, W] in [-1, 1] on the device, differentiable by the style. Errors: UsageError for a model of
  // latents.
  at::Tensor render(const models::Style& style) const;
  at::Device device() const { return device_; }
  // Whether the images of a sample are stages, and the recipe's figures of items' stages, means over the items.
  bool has_trajectory() const { return config_->recipe->has_trajectory(); }
  std::vector<std::pair<std::string, double>> diagnostics(std::span<const Item> items) const;
  int64_t style_layers() const { return config_->recipe->style_layers(); }

 private:
  struct Asked {
    at::Tensor z, labels;  // [B, Z], [B]
    recipes::SampleOptions options;
  };
  Asked asked(std::span<const Item> items) const;
  at::Tensor images(std::span<const Item> items) const;  // [K, B, C, H, W] on the CPU, in [-1, 1]

  void enlarge(std::vector<io::Image>& stages, const Item& item) const;

  at::Device device_;
  int64_t rows_, stages_ = 1, scale_ = 1;
  recipes::SampleOptions options_;
  std::unique_ptr<train::RunConfig> config_;
  recipes::ImageShape shape_;
  std::vector<std::string> prompts_;
  pretrained::LatentSpace space_;
  std::unique_ptr<Upsampler> upsampler_;
};

}  // namespace gigacat::apply
