// The recipes that the program brings: one line each.
#pragma once

#include "gigacat/recipes/transformer_gan.h"

namespace gigacat::recipes {

std::unique_ptr<Recipe> make_gat();
std::unique_ptr<Recipe> make_cat();
std::unique_ptr<Recipe> make_gigagan();
std::unique_ptr<Recipe> make_upsampler();

}  // namespace gigacat::recipes
