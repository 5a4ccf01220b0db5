// The recipes that the program brings: one line each.
#pragma once

#include "gigacat/recipes/recipe.h"

namespace gigacat::recipes {

GanConfig make_gat();
GanConfig make_cat();
GanConfig make_gigagan();
GanConfig make_upsampler();

}  // namespace gigacat::recipes
