// Both halves of a step of a recipe.
#pragma once

#include "gigacat/dist/group.h"
#include "gigacat/recipes/recipe.h"

namespace gigacat::recipes {

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
