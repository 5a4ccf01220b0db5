#include "gigacat/models/gat/config.h"

namespace gigacat::models::gat {
namespace {

std::string head_problem(int64_t hidden, int64_t heads) {
  if (hidden % heads != 0) return gigacat::cat("hidden ", hidden, " is not divisible by heads ", heads);
  if (hidden / heads % 4 != 0)
    return gigacat::cat("a head is ", hidden / heads, " wide: rotary embedding needs a multiple of 4");
  return "";
}

}  // namespace

void GeneratorConfig::bind(config::Binder& b) {
  b.field("depth", depth, 12, "transformer blocks", {.min = 1, .max = 512, .source = "GAT table 1 (S)"});
  b.field("hidden", hidden, 384, "width D of a token and of the style vector",
          {.min = 8, .max = 65536, .source = "GAT table 1 (S)"});
  b.field("heads", heads, 6, "attention heads", {.min = 1, .max = 1024, .source = "GAT table 1 (S)"});
  b.field("patch", patch, 2, "side of a token's patch", {.min = 1, .max = 256, .unit = "px or latent cells"});
  b.field("z_dim", z_dim, 64, "width of z and of the class embedding",
          {.min = 1, .max = 65536, .source = "official code"});
  b.field("stages", stages, 4, "images K that the generator makes, coarse first",
          {.min = 1, .max = 64, .source = "GAT section 3"});
  b.field("qk_norm", qk_norm, true, "RMS norm on queries and keys", {.source = "official training script"});
  b.field("pos_embed", pos_embed, "learned", "position table: kept as built, or trained from the sin-cos table on",
          {.choices = {"fixed", "learned"}, .source = "official trainer"});
  b.field("modulation", modulation, "scale",
          "what a style does to features: GAT scales them, CAT's sizes are those of shift and scale",
          {.choices = {"scale", "shift_scale"}, .source = "official code; CAT project page, by its parameter counts"});
  b.field("output_gain", output_gain, 1.0,
          "gain of the last layers' first weights: 1 begins with patches of noise, little with grey images",
          {.min = 0, .max = 1, .source = "official code"});
  b.field("w_avg_beta", w_avg_beta, 0.995, "decay of the class-wise style means",
          {.min = 0, .max = 1, .source = "official code"});
  b.check("hidden", [this] { return head_problem(hidden, heads); });
  b.check("depth", [this] {
    return depth % stages == 0 ? "" : gigacat::cat("depth ", depth, " is not divisible by stages ", stages);
  });
}

void DiscriminatorConfig::bind(config::Binder& b) {
  b.field("depth", depth, 12, "transformer blocks", {.min = 1, .max = 512, .source = "GAT table 1 (S)"});
  b.field("hidden", hidden, 384, "width D of a token", {.min = 8, .max = 65536, .source = "GAT table 1 (S)"});
  b.field("heads", heads, 6, "attention heads", {.min = 1, .max = 1024, .source = "GAT table 1 (S)"});
  b.field("patch", patch, 2, "side of a token's patch", {.min = 1, .max = 256, .unit = "px or latent cells"});
  b.field("cmap_dim", cmap_dim, 2048, "width of the class embedding e(y)", {.min = 1, .source = "official code"});
  b.field("projector_dim", projector_dim, 2048, "hidden width of the alignment head",
          {.min = 1, .source = "official code"});
  b.field("qk_norm", qk_norm, true, "RMS norm on queries and keys", {.source = "official training script"});
  b.field("pos_embed", pos_embed, "learned", "position table: kept as built, or trained from the sin-cos table on",
          {.choices = {"fixed", "learned"}, .source = "official trainer"});
  b.check("hidden", [this] { return head_problem(hidden, heads); });
}

void check_patch(const ImageShape& shape, int64_t patch, const std::string& network) {
  if (shape.height % patch != 0 || shape.width % patch != 0)
    fail<UsageError>(network, ".patch: images or latents of ", shape.height, " x ", shape.width,
                     " are not divisible by the patch ", patch);
}

}  // namespace gigacat::models::gat
