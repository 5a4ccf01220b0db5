#include <gtest/gtest.h>

#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/nn/activation_checkpoint.h"
#include "gigacat/recipes/recipe.h"
#include "nn/gradients.h"
#include "recipes/fingerprint.h"
#include "recipes/step.h"

namespace gigacat::recipes {
namespace {

const std::vector<std::string> kTiny{"model.generator.depth=4",         "model.generator.hidden=32",
                                     "model.generator.heads=2",         "model.discriminator.depth=2",
                                     "model.discriminator.hidden=32",   "model.discriminator.heads=2",
                                     "model.discriminator.cmap_dim=32", "model.discriminator.projector_dim=32"};

std::unique_ptr<SmallGan> tiny(const std::string& name, const std::vector<std::string>& more = {},
                               const ImageShape& shape = {4, 16, 16, 10}) {
  return small_gan(name, kTiny, more, shape);
}

struct Step {
  Step(const ImageShape& shape, int64_t step, std::vector<int64_t> positions) : draws(7, step, positions, at::kCPU) {
    batch.images =
        StreamDraws(8, step, positions, at::kCPU).normal("image", {}, {shape.channels, shape.height, shape.width});
    batch.labels = StreamDraws(8, step, positions, at::kCPU).integers("label", 0, shape.num_classes - 1);
    batch.step = step;
    batch.draws = &draws;
  }
  StreamDraws draws;
  Batch batch;
};

TEST(Draws, OfASampleDoNotDependOnItsBatch) {
  const StreamDraws together(1, 5, {10, 11, 12}, at::kCPU), alone(1, 5, {11}, at::kCPU);
  EXPECT_TRUE(at::equal(together.normal("a", {2}, {3, 4}).select(1, 1), alone.normal("a", {2}, {3, 4}).select(1, 0)));
  EXPECT_TRUE(at::equal(together.uniform("a", {7})[1], alone.uniform("a", {7})[0]));
  EXPECT_TRUE(at::equal(together.integers("a", -3, 3)[1], alone.integers("a", -3, 3)[0]));
  EXPECT_FALSE(at::equal(together.uniform("a", {7})[1], together.uniform("b", {7})[1]));
  EXPECT_FALSE(at::equal(together.uniform("a", {7})[1], StreamDraws(1, 6, {11}, at::kCPU).uniform("a", {7})[0]));
}

TEST(Registry, NamesTheNearestRecipe) {
  try {
    make_gan_config("gta");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("gat"), std::string::npos);
  }
}

class EveryRecipe : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryRecipe, GivesEveryParameterAFiniteGradient) {
  const auto gan = tiny(GetParam(), {"loss.align=fake"}, {3, 16, 16, 10});
  const Step step({3, 16, 16, 10}, 0, {0, 1, 2, 3, 4, 5});
  run(*gan, step.batch);
  for (torch::nn::Module* network : {&gan->generator(), &gan->discriminator()})
    for (const auto& item : network->named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      EXPECT_TRUE(at::isfinite(item.value().grad()).all().item<bool>()) << item.key();
      EXPECT_GT(item.value().grad().abs().max().item<double>(), 0) << item.key();
    }
}

TEST_P(EveryRecipe, WorksOnLatentsThatAreNotSquare) {
  const ImageShape shape{4, 16, 32, 10};
  const auto gan = tiny(GetParam(), {}, shape);
  const Step step(shape, 0, {0, 1});
  const Losses losses = run(*gan, step.batch);
  EXPECT_TRUE(std::isfinite(losses.discriminator.total.item<double>()));
  EXPECT_TRUE(std::isfinite(losses.generator.total.item<double>()));
  const at::Tensor z = gan->model->latents(1, {0, 1, 2}, at::kCPU);
  const at::Tensor images = gan->model->sample(gan->generator(), z, at::zeros({3}, at::kLong), {.all_stages = true});
  EXPECT_EQ(images.sizes(), at::IntArrayRef({4, 3, 4, 16, 32}));
}

TEST_P(EveryRecipe, ExactPenaltyDiffersFromTheApproximateOneByItsNoiseAlone) {
  const auto gan = tiny(GetParam(), {"loss.penalty=exact"});
  const Step step({4, 16, 16, 10}, 0, {0, 1, 2});
  const Losses losses = run(*gan, step.batch);
  for (const auto& item : gan->discriminator().named_parameters())
    EXPECT_TRUE(at::isfinite(item.value().grad()).all().item<bool>()) << item.key();
  for (const auto& [name, value] : losses.discriminator.terms) {
    if (name == "r1" || name == "r2") {
      EXPECT_GT(value.min().item<double>(), 0) << name;
    }
  }
}

TEST_P(EveryRecipe, CheckpointingChangesNoGradient) {
  const Step step({4, 16, 16, 10}, 0, {0, 1});
  const auto gradients = [&](const std::string& policy) {
    const nn::CheckpointScope scope{nn::CheckpointPolicy(policy)};
    const auto gan = tiny(GetParam());
    run(*gan, step.batch);
    std::vector<at::Tensor> all;
    for (torch::nn::Module* network : {&gan->generator(), &gan->discriminator()})
      for (const at::Tensor& p : network->parameters()) all.push_back(p.grad().clone());
    return all;
  };
  const auto plain = gradients("off"), again = gradients("blocks");
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(at::allclose(plain[i], again[i], 1e-5, 1e-8)) << i;
}

TEST_P(EveryRecipe, RefusesAnImageThatThePatchDoesNotDivide) {
  EXPECT_THROW(tiny(GetParam(), {"model.generator.patch=4", "model.discriminator.patch=4"}, {4, 18, 18, 10}),
               UsageError);
}

TEST_P(EveryRecipe, DiagnosticsHaveTheirNames) {
  const auto gan = tiny(GetParam());
  const Step step({4, 16, 16, 10}, 0, {0, 1, 2});
  std::map<std::string, double> figures;
  for (const auto& [name, value] : gan->recipe->diagnostics(gan->generate(step.batch, false))) figures[name] = value;
  for (const char* name : {"discrepancy", "rewrite", "direction"}) {
    ASSERT_TRUE(figures.contains(name)) << name;
    EXPECT_TRUE(std::isfinite(figures[name])) << name;
  }
}

TEST_P(EveryRecipe, HasTheFingerprintThatIsOnRecord) {
  const auto gan = tiny(GetParam());
  check_fingerprint(GetParam(), *gan, [&](int64_t s) {
    const Step step({4, 16, 16, 10}, s, {4 * s, 4 * s + 1, 4 * s + 2, 4 * s + 3});
    const Losses losses = run(*gan, step.batch);
    return std::pair{losses.discriminator.total.item<double>(), losses.generator.total.item<double>()};
  });
}

INSTANTIATE_TEST_SUITE_P(Recipes, EveryRecipe, ::testing::Values("gat", "cat"));

TEST(Cat, ReportsConsistencyUnlessItIsOff) {
  const Step step({4, 16, 16, 10}, 0, {0, 1});
  const auto reports = [&](const std::string& lambda) {
    const auto gan = tiny("cat", {"loss.consistency=" + lambda});
    for (const auto& [name, value] : run(*gan, step.batch).generator.terms)
      if (name == "consistency") return true;
    return false;
  };
  EXPECT_TRUE(reports("1"));
  EXPECT_FALSE(reports("0"));
}

}  // namespace
}  // namespace gigacat::recipes
