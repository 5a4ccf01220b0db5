#include "recipes/gigagan_loss.h"

#include "gigacat/core/error.h"
#include "gigacat/models/gigagan/discriminator.h"

namespace gigacat::recipes {

void GigaGanLoss::bind(config::Binder& b) {
  b.field("level_weights", level_weights, {0.33, 0.17, 0.17, 0.17, 0.17},
          "weights of the pyramid's levels, the finest first; empty: 1 each, the paper's plain sum",
          {.min = 0, .source = "appendix"});
  b.field("intermediate", intermediate, 0.01, "weight of predictions before the last scale; 1: the paper's plain sum",
          {.min = 0, .source = "appendix"});
  b.field("intermediate_matching", intermediate_matching, 0.05, "the same in the matching loss",
          {.min = 0, .source = "appendix"});
  b.field("reduction", reduction, "sum", "how predictions add up",
          {.choices = {"sum", "mean"}, .source = "GigaGAN section 3"});
  b.field("matching", matching, 1.0, "weight of the matching loss on captions of other samples; 0: off",
          {.min = 0, .source = "GigaGAN section 3"});
  b.field("matching_generator", matching_generator, "adversarial",
          "the generator's share of it: adversarial -softplus, minimised with the discriminator's sign, or none",
          {.choices = {"adversarial", "minimised", "none"}, .source = "open"});
  b.field("r1_gamma", r1_gamma, 0.2048, "weight gamma of R1 on real images (enters as gamma/2); 0: off",
          {.min = 0, .source = "appendix"});
  b.field("r1_interval", r1_interval, 16, "steps between penalties, whose weight is multiplied by it",
          {.min = 1, .unit = "steps", .source = "GigaGAN"});
  b.field("encoder", encoder, "none", "frozen encoder of text and images behind the next two",
          {.choices = {"none", "clip", "fake"}, .source = "GigaGAN: CLIP"});
  b.field("clip", clip, 0.0, "weight of the contrastive loss of image and text embeddings; 0: off",
          {.min = 0, .source = "GigaGAN: 0.2 to 1"});
  b.field("vision", vision, 0.0, "weight of predictions on the encoder's middle layers; 0: off",
          {.min = 0, .source = "GigaGAN section 3"});
  for (const char* key : {"clip", "vision"})
    b.check(key, [this, key]() -> std::string {
      const double weight = std::string(key) == "clip" ? clip : vision;
      return weight > 0 && encoder == "none" ? "needs loss.encoder" : "";
    });
}

PredictionWeights GigaGanLoss::prediction_weights(int64_t levels, bool multi_scale) const {
  if (!level_weights.empty() && std::ssize(level_weights) < levels)
    fail<UsageError>("loss.level_weights: ", level_weights.size(), " weights for ", levels, " levels");
  const auto pairs = models::gigagan::prediction_pairs(levels, multi_scale);
  const double share = reduction == "mean" ? 1.0 / static_cast<double>(pairs.size()) : 1;
  PredictionWeights weights;
  for (const auto& [level, scale] : pairs) {
    const double own = (level_weights.empty() ? 1 : level_weights[static_cast<size_t>(level)]) * share;
    weights.gan.push_back(own * (scale < levels ? intermediate : 1));
    weights.matching.push_back(own * (scale < levels ? intermediate_matching : 1));
  }
  return weights;
}

}  // namespace gigacat::recipes
