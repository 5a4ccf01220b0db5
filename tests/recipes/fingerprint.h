// Losses of a recipe that are kept on record: a change that moves them says why.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "gigacat/core/files.h"
#include "gigacat/recipes/recipe.h"
#include "paths.h"
#include "recipes/step.h"

namespace gigacat::recipes {

// Four plain gradient steps. `losses(s)` leaves the gradients of both halves of step s and gives d_total and g_total.
// GIGACAT_UPDATE_FINGERPRINTS=1 writes the record anew.
inline void check_fingerprint(const std::string& name, SmallGan& gan,
                              const std::function<std::pair<double, double>(int64_t)>& losses) {
  const fs::path file = fs::path(test::source_dir()) / "tests/golden/fingerprints" / (name + ".json");
  nlohmann::json found = nlohmann::json::array();
  for (int64_t s = 0; s < 4; ++s) {
    const auto [d, g] = losses(s);
    found.push_back({{"d_total", d}, {"g_total", g}});
    at::NoGradGuard no_grad;
    for (torch::nn::Module* network : {&gan.generator(), &gan.discriminator()})
      for (at::Tensor& p : network->parameters()) {
        p.sub_(p.grad().sign() * 1e-3);
        p.mutable_grad() = at::Tensor();
      }
  }
  if (std::getenv("GIGACAT_UPDATE_FINGERPRINTS")) write_atomically(file, found.dump(1) + "\n");
  const auto expected = nlohmann::json::parse(read_file(file));
  ASSERT_EQ(found.size(), expected.size());
  for (size_t s = 0; s < found.size(); ++s)
    for (const char* half : {"d_total", "g_total"})
      EXPECT_NEAR(found[s][half].get<double>(), expected[s][half].get<double>(),
                  1e-4 * std::abs(expected[s][half].get<double>()))
          << s << " " << half;
}

}  // namespace gigacat::recipes
