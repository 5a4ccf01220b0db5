// A recipe of a few keys, and both halves of its step.
#pragma once

#include <string>
#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/recipes/recipe.h"

namespace gigacat::recipes {

// The recipe `name` with `keys` and `more` on top, its networks built for `shape`.
inline std::unique_ptr<Recipe> small_recipe(const std::string& name, std::vector<std::string> keys,
                                            const std::vector<std::string>& more, const ImageShape& shape) {
  auto recipe = make_recipe(name);
  config::Binder binder;
  recipe->bind(binder);
  keys.insert(keys.end(), more.begin(), more.end());
  config::Document::parse("{}", "test", keys).apply(binder);
  recipe->build(shape, 7);
  return recipe;
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
inline Losses run(Recipe& recipe, const Batch& batch) {
  const at::Tensor fakes = recipe.generate(batch, true);
  Losses losses{recipe.discriminator_loss(batch, fakes.detach()), {}};
  losses.discriminator.total.backward();
  for (at::Tensor& p : recipe.discriminator().parameters()) p.set_requires_grad(false);
  losses.generator = recipe.generator_loss(batch, fakes);
  losses.generator.total.backward();
  for (at::Tensor& p : recipe.discriminator().parameters()) p.set_requires_grad(true);
  recipe.update_buffers(*dist::Group::create({}, at::kCPU));
  return losses;
}

}  // namespace gigacat::recipes
