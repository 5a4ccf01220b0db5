#include <gtest/gtest.h>

#include "gigacat/losses/adversarial.h"
#include "gigacat/losses/alignment.h"
#include "gigacat/losses/augment.h"
#include "gigacat/losses/noise_guidance.h"
#include "nn/gradients.h"

namespace gigacat::losses {
namespace {

using testing::values;

AugmentDraw draw_for(int64_t b, int64_t ty, int64_t tx, int64_t cy, int64_t cx, double flip) {
  const at::Tensor half = at::full({b}, 0.3);
  return {half,
          half,
          half,
          at::ones({b}),
          at::tensor({ty, tx}, at::kLong).repeat({b, 1}),
          at::tensor({cy, cx}, at::kLong).repeat({b, 1}),
          at::full({b}, flip)};
}

TEST(Augment, GradientsAgreeWithFiniteDifferences) {
  const AugmentDraw draw = draw_for(2, 1, -1, 2, 3, 1);
  const testing::Function f = [&](const auto& in) { return augment(in[0], draw, colour_means(in[0][1])); };
  EXPECT_LT(testing::finite_difference_error(f, {values("x", {2, 2, 3, 4, 6})}), 1e-6);
}

TEST(Augment, WorksOnImagesThatAreNotSquare) {
  const at::Tensor x = at::arange(24, at::kFloat).view({1, 1, 4, 6});
  const at::Tensor moved = translate(x, at::tensor({1, 2}, at::kLong).view({1, 2}));
  EXPECT_EQ(moved[0][0][0][0].item<float>(), x[0][0][1][2].item<float>());
  EXPECT_EQ(moved[0][0][3][0].item<float>(), 0);
  const at::Tensor cut = cut_out(at::ones({1, 1, 4, 6}), at::zeros({1, 2}, at::kLong));
  EXPECT_EQ(cut.sum().item<float>(), 24 - 1 * 2);  // rows -1..0, columns -1..1 of which 1 x 2 are inside
}

TEST(NoiseGuidance, KeepsTheVarianceThatTheLevelsSay) {
  const NoiseLevels levels = noise_levels(4, 0.125);
  const at::Tensor noise = perturb(at::zeros({4, 64, 4, 16, 16}), values("eps", {4, 64, 4, 16, 16}), levels);
  for (int64_t k = 0; k < 4; ++k) EXPECT_NEAR(noise[k].std().item<double>(), levels.level[k], 0.02 * levels.level[k]);
}

TEST(Penalty, ExactOneOfALinearFunctionIsItsSquaredNorm) {
  const at::Tensor a = values("a", {3, 4, 4}), x = values("x", {2, 3, 4, 4}).requires_grad_(true);
  const at::Tensor logits = (x * a).sum({1, 2, 3}).unsqueeze(1);
  const at::Tensor penalty = exact_penalty(logits, x);
  EXPECT_NEAR(penalty[0].item<double>(), a.square().sum().item<double>(), 1e-3);
  EXPECT_NEAR(penalty[1].item<double>(), a.square().sum().item<double>(), 1e-3);
}

TEST(Alignment, IsZeroForEqualDirections) {
  const at::Tensor x = values("x", {2, 5, 8});
  EXPECT_NEAR(align_patches(x, 3 * x).abs().max().item<double>(), 0, 1e-6);
  EXPECT_NEAR(align_class(x.select(1, 0), -x.select(1, 0)).min().item<double>(), 2, 1e-6);
}

}  // namespace
}  // namespace gigacat::losses
