// A third GAN, as small as one can be: this folder, toy.yaml and one line, register_recipe("toy", toy::make), are all
// it takes.
#pragma once

#include <memory>

#include "gigacat/recipes/recipe.h"
#include "train/toy/model.h"

namespace gigacat::toy {

class Recipe : public recipes::Recipe {
 public:
  std::string name() const override { return "toy"; }
  void bind(config::Binder& b) override;
  void build(const recipes::ImageShape& shape, uint64_t seed) override;
  torch::nn::Module& generator() override { return *generator_; }
  torch::nn::Module& discriminator() override { return *discriminator_; }
  std::shared_ptr<torch::nn::Module> make_generator() override;
  at::Tensor generate(const recipes::Batch& batch, bool with_graph) override;
  recipes::Loss discriminator_loss(const recipes::Batch& batch, const at::Tensor& fakes) override;
  recipes::Loss generator_loss(const recipes::Batch& batch, const at::Tensor& fakes) override;
  void update_buffers(dist::Group& group) override;
  std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor& fakes) override;
  at::Tensor latent(uint64_t seed, const std::vector<int64_t>& indices, at::Device device) override;
  at::Tensor sample(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                    const recipes::SampleOptions& options) override;
  recipes::Cost cost() const override;

 private:
  Config config_{};
  double r1_ = 0;
  recipes::ImageShape shape_;
  std::shared_ptr<Generator> generator_;
  std::shared_ptr<Discriminator> discriminator_;
};

std::unique_ptr<recipes::Recipe> make();

}  // namespace gigacat::toy
