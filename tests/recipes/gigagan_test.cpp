#include <gtest/gtest.h>

#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/recipes/recipe.h"
#include "recipes/fingerprint.h"
#include "recipes/step.h"
#include "text/vocabulary.h"

namespace gigacat::recipes {
namespace {

constexpr ImageShape kShape{3, 16, 16, 1};

const std::vector<std::string> kTiny{"model.text.width=16",
                                     "model.text.layers=1",
                                     "model.text.heads=2",
                                     "model.text.length=6",
                                     "model.text.vocabulary=64",
                                     "model.text.dropout=0",
                                     "model.generator.z_dim=8",
                                     "model.generator.w_dim=16",
                                     "model.generator.mapping_layers=2",
                                     "model.generator.channel_base=256",
                                     "model.generator.channel_max=16",
                                     "model.generator.blocks=[1, 2, 1]",
                                     "model.generator.bank=[1, 2, 4]",
                                     "model.generator.attention=[0, 1, 2]",
                                     "model.discriminator.channel_base=256",
                                     "model.discriminator.channel_max=16",
                                     "model.discriminator.blocks=[1, 1, 2]",
                                     "model.discriminator.attention=[8]"};

std::unique_ptr<SmallGan> tiny(const std::vector<std::string>& more = {}, const ImageShape& shape = kShape) {
  return small_gan("gigagan", kTiny, more, shape);
}

struct Step : CaptionedStep {
  explicit Step(int64_t step = 0)
      : CaptionedStep(step, [](const StreamDraws& from) {
          return from.normal("image", {}, {3, 16, 16});
        }) {}
};

bool reports(const Loss& loss, const std::string& term) {
  for (const auto& [name, value] : loss.terms)
    if (name == term) return true;
  return false;
}

void expect_gradients(SmallGan& gan) {
  for (torch::nn::Module* network : {&gan.generator(), &gan.discriminator()})
    for (const auto& item : network->named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      EXPECT_TRUE(at::isfinite(item.value().grad()).all().item<bool>()) << item.key();
      if (item.key().ends_with(".k.bias")) continue;  // moves all logits of a query alike: a softmax does not see it
      EXPECT_GT(item.value().grad().abs().max().item<double>(), 0) << item.key();
    }
}

class Switches : public ::testing::TestWithParam<std::vector<std::string>> {};

TEST_P(Switches, GiveEveryParameterAFiniteGradient) {
  const auto gan = tiny(GetParam());
  run(*gan, Step().batch);
  expect_gradients(*gan);
}

INSTANTIATE_TEST_SUITE_P(
    GigaGan, Switches,
    ::testing::Values(std::vector<std::string>{}, std::vector<std::string>{"model.attention=false"},
                      std::vector<std::string>{"model.discriminator.multi_scale=false", "loss.matching=0"},
                      std::vector<std::string>{"model.text.encoder=fake", "loss.encoder=fake", "loss.clip=0.5",
                                               "loss.vision=1"},
                      std::vector<std::string>{"model.generator.tied=false", "model.discriminator.tied=false",
                                               "model.generator.cross_logits=l2", "model.generator.null_as=kv"}));

TEST(GigaGan, HasFiniteGradientsInShortTypes) {
  const auto gan = tiny();
  const nn::AutocastScope autocast(at::kCPU, {true, at::kBFloat16});
  const Losses losses = run(*gan, Step().batch);
  EXPECT_EQ(losses.discriminator.total.scalar_type(), at::kFloat);
  expect_gradients(*gan);
}

TEST(GigaGan, PenalisesEverySixteenthStep) {
  const auto gan = tiny();
  EXPECT_TRUE(reports(run(*gan, Step(0).batch).discriminator, "r1"));
  EXPECT_FALSE(reports(run(*gan, Step(1).batch).discriminator, "r1"));
  EXPECT_TRUE(reports(run(*gan, Step(16).batch).discriminator, "r1"));
}

TEST(GigaGan, AsksForCaptions) {
  const auto gan = tiny();
  Step step;
  step.batch.captions.clear();
  EXPECT_THROW(gan->generate(step.batch, false), UsageError);
}

TEST(GigaGan, SamplesFollowTheirCaptionsAndNotTheirBatch) {
  const auto gan = tiny();
  run(*gan, Step().batch);  // moves the mean style
  const at::Tensor z = gan->model->latents(1, {0, 1, 2}, at::kCPU), y = at::zeros({3}, at::kLong);
  const auto draw = [&](const at::Tensor& latents, std::vector<std::string> captions, double psi) {
    const at::Tensor labels = at::zeros({latents.size(0)}, at::kLong);
    return gan->model->sample(gan->generator(), latents, labels,
                              {.truncation = psi, .captions = std::move(captions)})[0];
  };
  const at::Tensor three = draw(z, {"red heart", "blue heart", "cat"}, 1);
  EXPECT_EQ(three.sizes(), at::IntArrayRef({3, 3, 16, 16}));
  EXPECT_TRUE(at::allclose(three[1], draw(z.narrow(0, 1, 1), {"blue heart"}, 1)[0], 1e-4, 1e-5));
  EXPECT_FALSE(at::allclose(three[1], draw(z.narrow(0, 1, 1), {"red heart"}, 1)[0], 1e-3, 1e-3));
  const at::Tensor mean = draw(z, {"cat", "cat", "cat"}, 0);  // all the prompt's mean
  EXPECT_TRUE(at::allclose(mean[0], mean[2], 1e-4, 1e-5));
  EXPECT_EQ(gan->model->sample(gan->generator(), z, y, {.all_stages = true}).sizes(),
            at::IntArrayRef({3, 3, 3, 16, 16}));
}

TEST(GigaGan, MixesStylesLayerByLayer) {
  const auto gan = tiny();
  const at::Tensor z = gan->model->latents(1, {0, 1}, at::kCPU), y = at::zeros({1}, at::kLong);
  const auto told = [&](int64_t i, const char* caption) {
    return gan->model->style(gan->generator(), z.narrow(0, i, 1), y, {.captions = {caption}});
  };
  const Style a = told(0, "red heart"), b = told(1, "blue circle");
  const int64_t layers = gan->model->style_layers();
  EXPECT_EQ(layers, 4);
  const auto image = [&](const Style& style) { return gan->model->synthesize(gan->generator(), style, false); };
  EXPECT_TRUE(at::allclose(image(models::mix(a, b, layers, layers)), image(a)));
  EXPECT_TRUE(at::allclose(image(models::mix(a, b, layers, 0)), image(b)));
  EXPECT_FALSE(at::allclose(image(models::mix(a, b, layers, 2)), image(a)));
  EXPECT_TRUE(at::equal(image(models::interpolate(a, b, 0)), image(a)));
}

TEST(GigaGan, NamesListsThatDoNotFitTheImage) {
  EXPECT_THROW(tiny({}, {3, 32, 32, 1}), UsageError);
  EXPECT_THROW(tiny({}, {3, 16, 32, 1}), UsageError);
  EXPECT_THROW(tiny({"loss.level_weights=[1, 1]"}), UsageError);
}

TEST(GigaGan, ReportsActivationScales) {
  const auto gan = tiny();
  const at::Tensor fakes = gan->generate(Step().batch, true);
  int64_t layers = 0;
  for (const auto& [name, value] : gan->recipe->diagnostics(fakes)) {
    EXPECT_TRUE(std::isfinite(value)) << name;
    layers += name.starts_with("activation/");
  }
  EXPECT_EQ(layers, gan->model->style_layers());
}

TEST(GigaGan, HasTheFingerprintThatIsOnRecord) {
  const auto gan = tiny();
  check_fingerprint("gigagan", *gan, [&](int64_t s) {
    const Losses losses = run(*gan, Step(s).batch);
    return std::pair{losses.discriminator.total.item<double>(), losses.generator.total.item<double>()};
  });
}

TEST(GigaGan, ReadsCaptionsByClipsTokensWhereAVocabularyIsThere) {
  const fs::path file = fs::path(::testing::TempDir()) / "gigagan-vocabulary.txt";
  write_atomically(file, text::vocabulary());
  EXPECT_THROW(tiny({"model.text.tokenizer=bpe"}), UsageError);
  const auto rows = [&](const std::string& tokenizer) {
    const auto gan = tiny({"model.text.tokenizer=" + tokenizer, "model.text.clip_vocabulary=" + file.string()});
    run(*gan, Step().batch);
    return gan->generator().named_parameters()["text.embedding"].size(0);
  };
  EXPECT_EQ(rows("words"), 64);
  EXPECT_EQ(rows("auto"), 49408);
  fs::remove(file);
}

}  // namespace
}  // namespace gigacat::recipes
