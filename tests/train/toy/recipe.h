// A GAN as small as one can be: this folder, toy.yaml and one line, register_recipe("toy", toy::make), are all it
// takes.
#pragma once

#include <memory>
#include <vector>

#include "gigacat/recipes/recipe.h"
#include "train/toy/model.h"

namespace gigacat::toy {

class Recipe : public recipes::Recipe {
 public:
  Recipe(Model& model, double r1, const nn::Init& init);
  at::Tensor generate(const recipes::Batch& batch, bool with_graph) override;
  recipes::Loss discriminator_loss(const recipes::Batch& batch, const at::Tensor& fakes) override;
  recipes::Loss generator_loss(const recipes::Batch& batch, const at::Tensor& fakes) override;
  void update_buffers(dist::Group& group) override;
  std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor& fakes) override;
  recipes::StepCost cost() const override;

 private:
  Model& model_;
  double r1_;
  std::vector<at::Tensor> hidden_;  // means [W] of this step's generator passes
};

struct LossConfig : recipes::LossConfig {
  double r1 = 0;
  void bind(config::Binder& b) override;
  std::unique_ptr<recipes::Recipe> build(models::Model& model, const nn::Init& init) const override;
};

recipes::GanConfig make();

}  // namespace gigacat::toy
