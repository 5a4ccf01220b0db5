#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/models/aura_sr/network.h"
#include "gigacat/nn/activation_checkpoint.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/nn/state.h"
#include "gigacat/pretrained/lpips.h"
#include "gigacat/recipes/recipe.h"
#include "pretrained/helpers.h"
#include "recipes/fingerprint.h"
#include "recipes/step.h"

namespace gigacat::recipes {
namespace {

using Keys = std::vector<std::string>;

const Keys kTiny{"model.text.width=16",
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
                 "model.generator.down=2",
                 "model.generator.bank_up=2",
                 "model.generator.attention=[1, 2]",
                 "model.discriminator.channel_base=256",
                 "model.discriminator.channel_max=16",
                 "model.discriminator.blocks=[1, 1, 1, 1]",
                 "model.discriminator.attention=[8]",
                 "loss.lpips=0",
                 "loss.pixel=1"};
const Keys kConditioned{"model.conditioned=true", "loss.encoder=fake", "loss.clip=0.5"};

std::unique_ptr<SmallGan> tiny(const Keys& more = {}, const ImageShape& shape = {3, 32, 32, 1}) {
  return small_gan("upsampler", kTiny, more, shape);
}

struct Step : CaptionedStep {
  explicit Step(int64_t step = 0, int64_t side = 32)
      : CaptionedStep(step, [side](const StreamDraws& from) {
          return from.uniform("image", {3, side, side}) * 2 - 1;
        }) {}
};

double term(const Loss& loss, const std::string& name) {
  for (const auto& [term, value] : loss.terms)
    if (term == name) return value.mean().item<double>();
  return NAN;
}

void expect_gradients(const std::string& which, torch::nn::Module& network, bool reads_text) {
  for (const auto& item : network.named_parameters()) {
    if (!item.value().requires_grad()) continue;
    ASSERT_TRUE(item.value().grad().defined()) << which << item.key();
    EXPECT_TRUE(at::isfinite(item.value().grad()).all().item<bool>()) << which << item.key();
    if (item.key().ends_with(".k.bias")) continue;  // moves all logits of a query alike: a softmax does not see it
    // An empty caption is one token, which can attend to nothing else.
    if (!reads_text && (item.key().find(".q.") != std::string::npos || item.key().find(".k.") != std::string::npos))
      continue;
    EXPECT_GT(item.value().grad().abs().max().item<double>(), 0) << which << item.key();
  }
}

TEST(Upsampler, GivesEveryParameterAFiniteGradient) {
  for (const bool conditioned : {false, true}) {
    const auto gan = tiny(conditioned ? kConditioned : Keys{});
    run(*gan, Step().batch);
    expect_gradients("generator ", gan->generator(), conditioned);
    expect_gradients("discriminator ", gan->discriminator(), conditioned);
  }
}

TEST(Upsampler, HasFiniteGradientsInShortTypes) {
  const auto gan = tiny(kConditioned);
  const nn::AutocastScope autocast(at::kCPU, {true, at::kBFloat16});
  const Losses losses = run(*gan, Step().batch);
  EXPECT_EQ(losses.generator.total.scalar_type(), at::kFloat);
  expect_gradients("generator ", gan->generator(), true);
}

TEST(Upsampler, CheckpointingChangesNoGradient) {
  const auto gradients = [](const std::string& policy) {
    const nn::CheckpointScope scope{nn::CheckpointPolicy(policy)};
    const auto gan = tiny(kConditioned);
    run(*gan, Step().batch);
    std::vector<at::Tensor> all;
    for (const at::Tensor& p : gan->generator().parameters()) all.push_back(p.grad().clone());
    return all;
  };
  const auto plain = gradients("off"), again = gradients("blocks");
  double largest = 0;
  for (const at::Tensor& gradient : plain) largest = std::max(largest, gradient.abs().max().item<double>());
  // Sums over blocks come in another order.
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(at::allclose(plain[i], again[i], 1e-5, 1e-5 * largest)) << i;
}

TEST(Upsampler, BeginsNearTheEnlargedInput) {
  const auto gan = tiny({"model.noise=0"});
  Step step;
  step.batch.images = at::upsample_bilinear2d(step.batch.images.narrow(2, 0, 4).narrow(3, 0, 4), {32, 32}, false);
  const Losses losses = run(*gan, step.batch);
  EXPECT_GT(term(losses.generator, "psnr"), 25);
  EXPECT_GT(term(losses.generator, "psnr_bicubic"), 30);
  const at::Tensor x = at::full({1, 3, 32, 32}, 0.25);
  Batch plain = step.batch;
  plain.images = x.expand({4, -1, -1, -1});
  EXPECT_GT(term(run(*gan, plain).generator, "psnr_bicubic"), 40);  // what is even stays so when it is made small
}

TEST(Upsampler, NoiseOnTheInputIsDrawnForEachImage) {
  const auto fakes = [](const std::string& noise, int64_t step) {
    const auto gan = tiny({"model.noise=" + noise});
    Step of(step);
    of.batch.images = at::zeros({4, 3, 32, 32});
    return gan->generate(of.batch, false)[0];
  };
  EXPECT_FALSE(at::allclose(fakes("0", 0), fakes("0.5", 0), 1e-2, 1e-2));
  EXPECT_TRUE(at::equal(fakes("0.5", 0), fakes("0.5", 0)));
  EXPECT_FALSE(at::equal(fakes("0.5", 0), fakes("0.5", 1)));
}

TEST(Upsampler, LpipsIsATermOfItsOwn) {
  const TemporaryFolder folder;
  const pretrained::Lpips random(pretrained::LpipsNet::vgg);
  nn::TensorMap backbone, heads;
  for (const auto& [name, tensor] : pretrained::testing::random_state(*random))
    (name.starts_with("features.") ? backbone : heads)[name] = tensor.abs();
  nn::write_tensors(folder.path() / "vgg.safetensors", backbone);
  nn::write_tensors(folder.path() / "heads.safetensors", heads);
  const auto gan = tiny({"loss.lpips=10", "loss.lpips_backbone=" + (folder.path() / "vgg.safetensors").string(),
                         "loss.lpips_heads=" + (folder.path() / "heads.safetensors").string()});
  const Losses losses = run(*gan, Step().batch);
  EXPECT_GT(term(losses.generator, "g_lpips"), 0);
  expect_gradients("generator ", gan->generator(), false);
  const auto missing = tiny({"loss.lpips=10"});
  EXPECT_THROW(missing->recipe->generator_loss(Step().batch, missing->generate(Step().batch, false)), UsageError);
}

TEST(Upsampler, SamplesAreMadeOfTheExamplesShown) {
  const auto gan = tiny();
  EXPECT_THROW(gan->model->latents(0, {0}, at::kCPU), UsageError);
  const Step step;
  gan->model->set_examples(step.batch.images, step.batch.captions);
  const auto draw = [&](const std::vector<int64_t>& indices) {
    return gan->model->sample(gan->generator(), gan->model->latents(0, indices, at::kCPU),
                              at::zeros({std::ssize(indices)}, at::kLong), {.all_stages = true});
  };
  const at::Tensor samples = draw({0, 1, 5});
  EXPECT_EQ(samples.sizes(), at::IntArrayRef({2, 3, 3, 32, 32}));
  EXPECT_TRUE(at::equal(samples[0][1], samples[0][2]));  // of the same example
  EXPECT_TRUE(at::allclose(draw({1}).select(1, 0), samples.select(1, 1), 1e-4, 1e-5));
}

TEST(Upsampler, EnlargesAsItTrains) {
  for (const bool conditioned : {false, true}) {
    Keys keys = conditioned ? kConditioned : Keys{};
    keys.push_back("model.noise=0");
    const auto gan = tiny(keys);
    Step step;
    for (std::string& caption : step.batch.captions) caption = "red heart";
    const at::Tensor images = gan->generate(step.batch, false)[0];
    const auto tiles = gan->model->tile_upsampler();
    EXPECT_EQ(tiles->sizes().scale, 4);
    EXPECT_EQ(tiles->sizes().tile, 8);
    EXPECT_EQ(tiles->sizes().multiple, 4);
    tiles->set_style(step.draws.normal("z", {}, {8}).narrow(0, 0, 1), conditioned ? "red heart" : "");
    const at::Tensor small = at::_upsample_bicubic2d_aa(step.batch.images, {8, 8}, false).clamp(-1, 1);
    const at::Tensor bytes = ((small + 1) * 127.5).round() / 255;
    const at::Tensor enlarged = tiles->upsample(bytes.narrow(0, 0, 1), at::Tensor());
    EXPECT_TRUE(at::allclose(enlarged * 2 - 1, images.narrow(0, 0, 1), 1e-4, 1e-4));
    if (!conditioned) {
      EXPECT_THROW(tiles->set_style(at::zeros({1, 8}), "red heart"), UsageError);
    }
    // The paper's network is convolutional: other sizes of a tile work.
    EXPECT_EQ(tiles->upsample(at::zeros({2, 3, 16, 12}), at::Tensor()).sizes(), at::IntArrayRef({2, 3, 64, 48}));
  }
}

constexpr const char* kAuraSr = R"({"dim": 4, "image_size": 32, "input_image_size": 8,
  "style_network": {"dim_in": 8, "dim_out": 8, "depth": 2}, "self_attn_heads": 1, "self_attn_dim_head": 4,
  "attn_depths": [1, 1, 1, 1, 1], "mid_attn_depth": 1, "num_conv_kernels": 2, "skip_connect_scale": 0.4})";

TEST(Upsampler, TrainsTheReleasedNetworkFurther) {
  const TemporaryFolder folder;
  const models::aura_sr::AuraSr network(models::aura_sr::AuraSrConfig::parse(kAuraSr, "test"));
  const nn::TensorMap weights = pretrained::testing::random_state(*network);
  write_atomically(folder.path() / "config.json", kAuraSr);
  nn::write_tensors(folder.path() / "model.safetensors", weights);
  const auto gan = tiny({"model.kind=aura_sr", "model.aura_sr=" + folder.path().string()});
  const nn::TensorMap begun = nn::state_of(gan->generator());
  ASSERT_EQ(begun.size(), weights.size());
  for (const auto& [name, tensor] : weights) EXPECT_TRUE(at::equal(begun.at(name), tensor)) << name;
  run(*gan, Step().batch);
  expect_gradients("generator ", gan->generator(), false);
  EXPECT_GT(gan->model->generator_cost().flops, 0);
  EXPECT_THROW(tiny({"model.kind=aura_sr", "model.aura_sr=" + folder.path().string()}, {3, 64, 64, 1}), UsageError);
}

TEST(Upsampler, NamesWhatDoesNotFit) {
  EXPECT_THROW(tiny({}, {4, 32, 32, 1}), UsageError);
  EXPECT_THROW(tiny({"model.scale=3"}), UsageError);
  EXPECT_THROW(tiny({"model.generator.down=4"}), UsageError);
  EXPECT_THROW(tiny({"model.kind=aura_sr", "model.conditioned=true"}), UsageError);
  const auto gan = tiny(kConditioned);
  Step step;
  step.batch.captions.clear();
  EXPECT_THROW(gan->generate(step.batch, false), UsageError);
}

TEST(Upsampler, HasTheFingerprintThatIsOnRecord) {
  const auto gan = tiny(kConditioned);
  check_fingerprint("upsampler", *gan, [&](int64_t s) {
    const Losses losses = run(*gan, Step(s).batch);
    return std::pair(losses.discriminator.total.item<double>(), losses.generator.total.item<double>());
  });
}

}  // namespace
}  // namespace gigacat::recipes
