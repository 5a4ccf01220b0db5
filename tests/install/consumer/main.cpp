// Uses a class without tensors and one that needs LibTorch, so that both kinds of symbols must be in libgigacat.so.
#include <algorithm>
#include <array>
#include <iostream>

#include "gigacat/core/random.h"
#include "gigacat/recipes/recipe.h"

int main() {
  std::array<float, 4> draws{};
  gigacat::Stream(0, "consumer").uniform(0, 0, draws);
  const bool in_range = std::ranges::all_of(draws, [](float draw) { return draw >= 0 && draw < 1; });
  const auto names = gigacat::recipes::recipe_names();
  for (const std::string& name : names) std::cout << name << '\n';
  return in_range && std::ranges::count(names, "gat") == 1 && std::ranges::count(names, "cat") == 1 ? 0 : 1;
}
