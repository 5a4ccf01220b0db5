// Sizes of GAT's networks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/models/shape.h"

namespace gigacat::models::gat {

// K image stages, D hidden width, p patch size, T = (H/p)(W/p) tokens.
struct GeneratorConfig {
  int64_t depth, hidden, heads, patch, z_dim, stages;
  bool qk_norm;
  std::string pos_embed, modulation;
  double w_avg_beta, output_gain = 1;
  void bind(config::Binder& b);
  // Whether a style shifts features as well as scaling them.
  bool shifts() const { return modulation == "shift_scale"; }
};

// The same letters; cmap_dim is the width of e(y), projector_dim that of the alignment head.
struct DiscriminatorConfig {
  int64_t depth, hidden, heads, patch, cmap_dim, projector_dim;
  bool qk_norm;
  std::string pos_embed;
  void bind(config::Binder& b);
};

// Errors: UsageError when H or W is not divisible by the patch; `network` is the config's path ("model.generator").
void check_patch(const ImageShape& shape, int64_t patch, const std::string& network);

}  // namespace gigacat::models::gat
