// A recipe of a few keys, and both halves of its step.
#pragma once

#include <string>
#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/recipes/recipe.h"

namespace gigacat::recipes {

using models::ImageShape;
using models::Style;
using nn::StreamDraws;

// A GAN of a few keys with its networks, as the trainer holds them.
struct SmallGan {
  GanConfig config;
  std::unique_ptr<models::Model> model;
  std::unique_ptr<Recipe> recipe;

  torch::nn::Module& generator() { return model->generator(); }
  torch::nn::Module& discriminator() { return model->discriminator(); }
  at::Tensor generate(const Batch& batch, bool with_graph) { return recipe->generate(batch, with_graph); }
};

// The GAN of recipe `name` with `keys` and `more` on top, its networks built for `shape`.
inline std::unique_ptr<SmallGan> small_gan(const std::string& name, std::vector<std::string> keys,
                                           const std::vector<std::string>& more, const ImageShape& shape) {
  auto gan = std::make_unique<SmallGan>(SmallGan{make_gan_config(name), nullptr, nullptr});
  config::Binder binder;
  binder.section("model", *gan->config.model, "");
  binder.section("loss", *gan->config.loss, "");
  keys.insert(keys.end(), more.begin(), more.end());
  config::Document::parse("{}", "test", keys).apply(binder);
  gan->model = gan->config.model->build(shape, nn::Init(7, "G"));
  gan->recipe = gan->config.loss->build(*gan->model, nn::Init(7, "D"));
  return gan;
}

// A batch of four images with captions; images(draws) draws them.
struct CaptionedStep {
  template <class Images>
  CaptionedStep(int64_t step, const Images& images) : draws(7, step, {0, 1, 2, 3}, at::kCPU) {
    batch.images = images(draws);
    batch.labels = at::zeros({4}, at::kLong);
    batch.captions = {"red heart", "green heart", "red heart", "blue circle"};
    batch.step = step;
    batch.draws = &draws;
  }
  StreamDraws draws;
  Batch batch;
};

struct Losses {
  Loss discriminator, generator;
};

// Leaves the gradients of both networks, as the trainer's loop does.
inline Losses run(SmallGan& gan, const Batch& batch) {
  const at::Tensor fakes = gan.generate(batch, true);
  const Loss penalty = gan.recipe->discriminator_penalty(batch);
  if (penalty.total.defined()) penalty.total.backward();
  Losses losses{gan.recipe->discriminator_loss(batch, fakes.detach()), {}};
  losses.discriminator.total.backward();
  if (penalty.total.defined())
    losses.discriminator.total = losses.discriminator.total.detach() + penalty.total.detach();
  for (const auto& term : penalty.terms) losses.discriminator.terms.push_back(term);
  for (at::Tensor& p : gan.discriminator().parameters()) p.set_requires_grad(false);
  losses.generator = gan.recipe->generator_loss(batch, fakes);
  losses.generator.total.backward();
  for (at::Tensor& p : gan.discriminator().parameters()) p.set_requires_grad(true);
  gan.recipe->update_buffers(*dist::Group::create({}, at::kCPU));
  return losses;
}

}  // namespace gigacat::recipes
