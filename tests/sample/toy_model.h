// The smallest GAN there can be: two linear maps. Stage k of K = 2 is tanh(W (z + label)) / (2 - k).
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include <memory>
#include <string>
#include <vector>

#include "gigacat/core/random.h"
#include "gigacat/recipes/recipe.h"
#include "gigacat/run/config.h"

namespace gigacat::linear_toy {

struct NetworkImpl : torch::nn::Module {
  explicit NetworkImpl(int64_t width)
      : body(register_module("body", torch::nn::Linear(4, width))),
        scale(register_parameter("scale", at::ones({2}))),
        mean(register_buffer("mean", at::zeros({3}))) {}
  torch::nn::Linear body;
  at::Tensor scale, mean;
};
TORCH_MODULE(Network);

class Model : public models::Model {
 public:
  explicit Model(const models::ImageShape& shape) : models::Model(shape) {
    generator_ = make_generator(nn::Init::zeros());
    const at::NoGradGuard no_grad;
    for (at::Tensor& p : generator_->parameters()) p.fill_(0.25);
  }
  std::string name() const override { return "toy"; }
  std::shared_ptr<torch::nn::Module> make_generator(const nn::Init& /*init*/) const override {
    return std::make_shared<NetworkImpl>(shape_.channels * shape_.height * shape_.width);
  }
  void build_discriminator() { discriminator_ = std::make_shared<NetworkImpl>(1); }
  int64_t z_dim() const override { return 4; }
  at::Tensor sample(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                    const models::SampleOptions& options) override {
    auto& network = dynamic_cast<NetworkImpl&>(generator);
    const at::Tensor x = network.body(z * options.truncation + labels.unsqueeze(1)).tanh();
    const at::Tensor image = x.view({z.size(0), shape_.channels, shape_.height, shape_.width});
    return options.all_stages ? at::stack({image / 2, image}) : image.unsqueeze(0);
  }
  bool is_attention(const torch::nn::Module& /*module*/) const override { return false; }
  models::NetworkCost generator_cost() const override { return {100, 0}; }
  models::NetworkCost discriminator_cost() const override { return {50, 0}; }
};

struct ModelConfig : models::ModelConfig {
  int64_t width = 0;
  void bind(config::Binder& b) override { b.field("width", width, 4, "unused"); }
  std::unique_ptr<models::Model> build(const models::ImageShape& shape, const nn::Init& /*init*/) const override {
    return std::make_unique<Model>(shape);
  }
};

class Recipe : public recipes::Recipe {
 public:
  at::Tensor generate(const recipes::Batch&, bool) override { return {}; }
  recipes::Loss discriminator_loss(const recipes::Batch&, const at::Tensor&) override { return {}; }
  recipes::Loss generator_loss(const recipes::Batch&, const at::Tensor&) override { return {}; }
  recipes::StepCost cost() const override { return {900, 1000}; }
};

struct LossConfig : recipes::LossConfig {
  void bind(config::Binder& /*b*/) override {}
  std::unique_ptr<recipes::Recipe> build(models::Model& model, const nn::Init& /*init*/) const override {
    dynamic_cast<Model&>(model).build_discriminator();
    return std::make_unique<Recipe>();
  }
};

inline constexpr const char* kConfig =
    "recipe: linear_toy\n"
    "data: {path: none, resolution: 4, num_classes: 3}\n"
    "train: {batch: 8, accumulate: 2}\n";

inline void register_once() {
  static const bool once =
      (recipes::register_recipe(
           "linear_toy",
           [] {
             return recipes::GanConfig{std::make_unique<ModelConfig>(), std::make_unique<LossConfig>()};
           }),
       true);
  (void)once;
}

}  // namespace gigacat::linear_toy
