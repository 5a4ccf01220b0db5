// The smallest recipe there can be: two linear maps. Stage k of K = 2 is tanh(W (z + label)) / (2 - k).
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include <memory>
#include <string>
#include <vector>

#include "gigacat/core/random.h"
#include "gigacat/recipes/recipe.h"

namespace gigacat::apply {

struct ToyNetworkImpl : torch::nn::Module {
  explicit ToyNetworkImpl(int64_t width)
      : body(register_module("body", torch::nn::Linear(4, width))),
        scale(register_parameter("scale", at::ones({2}))),
        mean(register_buffer("mean", at::zeros({3}))) {}
  torch::nn::Linear body;
  at::Tensor scale, mean;
};
TORCH_MODULE(ToyNetwork);

class ToyRecipe : public recipes::Recipe {
 public:
  std::string name() const override { return "toy"; }
  void bind(config::Binder& b) override { b.field("model.width", width_, 4, "unused"); }
  void build(const recipes::ImageShape& shape, uint64_t) override {
    shape_ = shape;
    const at::NoGradGuard no_grad;
    generator_ = ToyNetwork(shape.channels * shape.height * shape.width);
    discriminator_ = ToyNetwork(1);
    for (at::Tensor& p : generator_->parameters()) p.fill_(0.25);
  }
  torch::nn::Module& generator() override { return *generator_; }
  torch::nn::Module& discriminator() override { return *discriminator_; }
  std::shared_ptr<torch::nn::Module> make_generator() override {
    return std::make_shared<ToyNetworkImpl>(shape_.channels * shape_.height * shape_.width);
  }
  at::Tensor generate(const recipes::Batch&, bool) override { return {}; }
  recipes::Loss discriminator_loss(const recipes::Batch&, const at::Tensor&) override { return {}; }
  recipes::Loss generator_loss(const recipes::Batch&, const at::Tensor&) override { return {}; }
  std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor&) override { return {}; }
  at::Tensor latent(uint64_t seed, const std::vector<int64_t>& indices, at::Device) override {
    at::Tensor z = at::empty({std::ssize(indices), 4});
    for (size_t i = 0; i < indices.size(); ++i)
      Stream(seed, "z").normal(0, static_cast<uint64_t>(indices[i]), {z[static_cast<int64_t>(i)].data_ptr<float>(), 4});
    return z;
  }
  at::Tensor sample(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                    const recipes::SampleOptions& options) override {
    auto& network = dynamic_cast<ToyNetworkImpl&>(generator);
    const at::Tensor x = network.body(z * options.truncation + labels.unsqueeze(1)).tanh();
    const at::Tensor image = x.view({z.size(0), shape_.channels, shape_.height, shape_.width});
    return options.all_stages ? at::stack({image / 2, image}) : image.unsqueeze(0);
  }
  recipes::Cost cost() const override { return {100, 50, 900, 1000}; }

 private:
  int64_t width_ = 0;
  recipes::ImageShape shape_;
  ToyNetwork generator_{nullptr}, discriminator_{nullptr};
};

inline std::unique_ptr<recipes::Recipe> make_toy() { return std::make_unique<ToyRecipe>(); }

inline constexpr const char* kToyConfig =
    "recipe: toy\n"
    "data: {path: none, resolution: 4, num_classes: 3}\n"
    "train: {batch: 8, accumulate: 2}\n";

inline void register_toy() {
  static const bool once = (recipes::register_recipe("toy", make_toy), true);
  (void)once;
}

}  // namespace gigacat::apply
