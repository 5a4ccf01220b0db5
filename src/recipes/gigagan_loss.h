// Weights and switches of GigaGAN's losses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gigacat/recipes/recipe.h"

namespace gigacat::recipes {

// By prediction, in the order of models::gigagan::prediction_pairs.
struct PredictionWeights {
  std::vector<double> gan, matching;
};

// The part of `loss:` that GigaGAN and its upsampler have.
struct GigaGanLoss : LossConfig {
  double matching, r1_gamma, clip, vision, intermediate, intermediate_matching;
  int64_t r1_interval;
  std::string matching_generator, encoder, reduction;
  std::vector<double> level_weights;
  void bind(config::Binder& b) override;
  // Errors: UsageError when level_weights are fewer than the levels.
  PredictionWeights prediction_weights(int64_t levels, bool multi_scale) const;
};

}  // namespace gigacat::recipes
