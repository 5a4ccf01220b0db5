// Every recipe with every way of computing the same step: losses and gradient norms are those of the plain run.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "dist/program.h"
#include "gigacat/core/text.h"
#include "paths.h"
#include "train/fixtures.h"

namespace gigacat::train {
namespace {

using Keys = std::vector<std::string>;

// A recipe with the switches of its own that change how a step is computed.
struct Subject {
  std::string name, recipe;
  Keys keys;
  bool stored_text = false;  // captions are encoded ahead of time
};
void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.name; }

const Keys kTransformers{"data.resolution=8",
                         "model.generator.depth=4",
                         "model.generator.hidden=32",
                         "model.generator.heads=2",
                         "model.generator.patch=2",
                         "model.discriminator.depth=4",
                         "model.discriminator.hidden=32",
                         "model.discriminator.heads=2",
                         "model.discriminator.patch=2",
                         "model.discriminator.cmap_dim=32",
                         "model.discriminator.projector_dim=32"};
const Keys kText{"model.text.width=16", "model.text.layers=1",      "model.text.heads=2",
                 "model.text.length=6", "model.text.vocabulary=64", "model.text.dropout=0.2"};
const Keys kPyramids{"loss.r1_interval=1",
                     "model.generator.z_dim=8",
                     "model.generator.w_dim=16",
                     "model.generator.mapping_layers=2",
                     "model.generator.channel_base=256",
                     "model.generator.channel_max=16",
                     "model.discriminator.channel_base=256",
                     "model.discriminator.channel_max=16",
                     "model.discriminator.attention=[8]"};
const Keys kGigaGan{"data.resolution=16",
                    "data.captions=true",
                    "model.generator.blocks=[1, 2, 1]",
                    "model.generator.bank=[1, 2, 4]",
                    "model.generator.attention=[0, 1, 2]",
                    "model.discriminator.blocks=[1, 1, 2]"};
const Keys kUpsampler{"data.resolution=32",
                      "model.generator.down=2",
                      "model.generator.bank_up=2",
                      "model.generator.attention=[1, 2]",
                      "model.discriminator.blocks=[1, 1, 1, 1]",
                      "loss.lpips=0",
                      "loss.pixel=1"};

Keys joined(std::initializer_list<Keys> lists) {
  Keys all;
  for (const Keys& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

std::vector<Subject> subjects() {
  return {
      {"toy", "toy", {"data.resolution=8", "model.hidden=16"}},
      {"gat", "gat", kTransformers},
      {"gat_exact", "gat", joined({kTransformers, {"loss.penalty=exact"}})},
      {"cat", "cat", kTransformers},
      {"cat_exact", "cat", joined({kTransformers, {"loss.penalty=exact"}})},
      {"gigagan", "gigagan", joined({kText, kPyramids, kGigaGan})},
      {"gigagan_encoder", "gigagan",
       joined({kText,
               kPyramids,
               kGigaGan,
               {"model.text.encoder=fake", "loss.encoder=fake", "loss.clip=0.5", "loss.vision=1"}})},
      {"gigagan_stored_text", "gigagan", joined({kText, kPyramids, kGigaGan, {"model.text.encoder=fake"}}), true},
      {"gigagan_one_scale", "gigagan", joined({kText, kPyramids, kGigaGan, {"model.discriminator.multi_scale=false"}})},
      {"upsampler", "upsampler", joined({kText, kPyramids, kUpsampler})},
      {"upsampler_text", "upsampler",
       joined({kText,
               kPyramids,
               kUpsampler,
               {"data.captions=true", "model.conditioned=true", "loss.encoder=fake", "loss.clip=0.5"}})}};
}

// Ways of computing a step, alone and together. A new switch enters here.
struct Way {
  int ranks;
  Keys keys;
};
const std::vector<Way> kWays{
    {1, {"train.activation_checkpoint=blocks"}},
    {1, {"train.activation_checkpoint=every:2", "train.accumulate=2"}},
    {1, {"train.accumulate=4", "train.deterministic=true"}},
    {1, {"train.reuse_fakes=false"}},
    {2, {}},
    {2, {"train.activation_checkpoint=blocks", "train.reuse_fakes=true"}},
    {2, {"train.activation_checkpoint=every:2", "train.accumulate=2", "train.shard_optimizer=true"}},
    {4, {"train.shard_optimizer=true", "train.deterministic=true"}},
};
// The same with numbers of eight bits somewhere on the way. Penalties by finite differences and shares of few samples
// are mostly rounding then; what they add to losses and gradients is not.
const std::vector<Way> kShortWays{
    {2, {"train.gradient_compression=bf16"}},
    {1, {"train.precision=bf16", "train.activation_checkpoint=blocks"}},
};

// What a step says of losses, gradients and images, not of its time.
bool is_compared(const std::string& key) {
  for (const char* start : {"D/", "G/", "grad_norm/", "discrepancy", "rewrite", "direction", "diversity"})
    if (key.starts_with(start)) return true;
  return false;
}

class SameStep : public ToyTest, public testing::WithParamInterface<Subject> {
 protected:
  SameStep() {
    yaml_ = folder_.write("subject.yaml", cat("recipe: ", GetParam().recipe, "\n"));
    const char* captions[] = {"red heart", "green heart", "blue circle", "cat", "red heart"};
    for (int i = 0; i < 24; ++i) {
      const auto shade = [i](int factor) { return static_cast<uint8_t>(factor * i % 256); };
      folder_.write(cat("pictures/", i % 2 ? "b" : "a", "/", i, ".png"),
                    data::solid_png(32, 32, shade(37), shade(101), shade(59)));
      folder_.write(cat("pictures/", i % 2 ? "b" : "a", "/", i, ".txt"), captions[i % 5]);
    }
  }

  void SetUp() override {
    if (!GetParam().stored_text) return;
    const auto result =
        test::Program({std::string(test::bin_dir()) + "/gigacat", "data", "encode", folder_.path("pictures"),
                       folder_.path("text"), "--text", "text.encoder=fake", "data.cache=none"})
            .finish(120);
    ASSERT_EQ(result.code, 0) << result.text;
  }

  // What the two steps say of losses and gradients.
  std::vector<nlohmann::json> figures(const Way& way) const {
    Keys keys = overrides(
        joined({{"data.path=" + folder_.path("pictures"), "train.steps=2", "train.threads=1", "train.batch=16",
                 "optimizer.lr=2e-5", "log.every=1", "log.samples_every=0", "checkpoint.every=100"},
                GetParam().keys,
                GetParam().stored_text ? Keys{"model.text.stored=" + folder_.path("text")} : Keys{},
                way.keys}));
    keys.erase(std::find(keys.begin(), keys.end(), "data.path=" + folder_.path("images")));
    Keys command{std::string(test::bin_dir()) + "/toy_train", "--ranks", std::to_string(way.ranks), yaml_};
    command.insert(command.end(), keys.begin(), keys.end());
    const auto result = test::Program(command).finish(120);
    EXPECT_EQ(result.code, 0) << result.text;
    if (result.code != 0) return {};
    std::vector<nlohmann::json> lines = metrics_of(newest_run(out()));
    for (nlohmann::json& line : lines)
      for (auto item = line.begin(); item != line.end();)
        item = is_compared(item.key()) ? std::next(item) : line.erase(item);
    return lines;
  }

  void compare(const Way& way, const std::vector<nlohmann::json>& plain, double tolerance, bool all_terms) const {
    const std::string name = cat(way.ranks, " ranks ", join(way.keys, " "));
    const auto found = figures(way);
    ASSERT_EQ(found.size(), plain.size()) << name;
    for (size_t step = 0; step < plain.size(); ++step) {
      ASSERT_EQ(found[step].size(), plain[step].size()) << name << "\n" << found[step] << "\n" << plain[step];
      for (const auto& [key, value] : plain[step].items()) {
        if (!all_terms && !key.ends_with("/loss") && !key.starts_with("grad_norm")) continue;
        const double wanted = value;
        EXPECT_NEAR(found[step][key].get<double>(), wanted, tolerance * std::abs(wanted) + 1e-6)
            << key << " of step " << step + 1 << ", " << name;
      }
    }
  }

  std::string yaml_;
};

TEST_P(SameStep, IsThePlainOne) {
  const auto plain = figures({1, {}});
  ASSERT_EQ(plain.size(), 2u);
  ASSERT_GE(plain.front().size(), 6u) << plain.front();
  for (const Way& way : kWays) compare(way, plain, 2e-3, /*all_terms=*/true);
  for (const Way& way : kShortWays) compare(way, plain, 1e-1, /*all_terms=*/false);
}

INSTANTIATE_TEST_SUITE_P(EveryRecipe, SameStep, testing::ValuesIn(subjects()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace gigacat::train
