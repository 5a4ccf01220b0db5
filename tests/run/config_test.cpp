#include "gigacat/run/config.h"

#include <gmock/gmock.h>

#include "gigacat/core/error.h"
#include "train/fixtures.h"

namespace gigacat::run {
namespace {

using data::error_of;
using data::TempFolder;
using train::flip_bit;
using train::toy_yaml;
using train::ToyTest;

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class ConfigTest : public ToyTest {
 protected:
  std::string error(const std::string& yaml) const {
    return error_of<UsageError>([&] { parse_config(yaml, "run.yaml"); });
  }
  std::string error_with(const std::string& override) const {
    return error_of<UsageError>([&] { config({override}); });
  }
};

TEST_F(ConfigTest, ReadsEverySection) {
  const auto read = config({"train.steps=7", "optimizer.schedule=cosine", "model.latent=5"});
  EXPECT_EQ(read->recipe_name, "toy");
  EXPECT_EQ(read->train.steps, 7);
  EXPECT_EQ(read->train.batch, 8);  // from the file
  EXPECT_EQ(read->optimizer.schedule, "cosine");
  EXPECT_EQ(read->optimizer.beta2, 0.99);  // a default
  EXPECT_EQ(read->image_shape().height, 8);
  EXPECT_EQ(read->image_shape().num_classes, 1);  // until the data is opened
}

TEST_F(ConfigTest, WhatIsStoredReadsBackEqual) {
  const auto first = config({"optimizer.lr=0.00037", "name=\"a: b\"", "loss.r1=0.25"});
  const auto again = parse_config(first->to_yaml(), "stored");
  EXPECT_EQ(again->to_yaml(), first->to_yaml());
  EXPECT_THAT(config::differences(first->binder, again->binder, false), IsEmpty());
}

TEST_F(ConfigTest, DefaultsOfARecipe) {
  EXPECT_EQ(default_config("toy")->optimizer.lr, 2e-4);
  EXPECT_THROW(default_config("tay"), UsageError);
}

TEST_F(ConfigTest, TheRecipeMustBeKnown) {
  EXPECT_THAT(error("train:\n  steps: 3\n"), HasSubstr("run.yaml: recipe: missing"));
  EXPECT_THAT(error("# c\nrecipe: toyy\n"), AllOf(HasSubstr("run.yaml:2:"), HasSubstr("did you mean toy?")));
}

TEST_F(ConfigTest, AllMistakesAreSaidAtOnce) {
  const std::string text = error(
      "recipe: toy\ndata:\n  resolution: 8\ntrain:\n  setps: 3\n  precision: fp8\n  batch: 0\noptimizer:\n  lr: "
      "fast\n");
  EXPECT_THAT(text, AllOf(HasSubstr("run.yaml:5:"), HasSubstr("steps"), HasSubstr("train.precision"),
                          HasSubstr("train.batch"), HasSubstr("optimizer.lr")));
}

TEST_F(ConfigTest, ImpossibleCombinations) {
  EXPECT_THAT(error_with("train.accumulate=3"), HasSubstr("8 is not divisible by train.accumulate 3"));
  EXPECT_THAT(error_with("optimizer.schedule=warmup"), HasSubstr("optimizer.warmup"));
  EXPECT_THAT(error_of<UsageError>([&] {
                config({"optimizer.schedule=cosine", "optimizer.warmup=10", "optimizer.decay_steps=10"});
              }),
              HasSubstr("before the warm-up"));
}

TEST_F(ConfigTest, ActivationCheckpointing) {
  for (const char* good : {"off", "blocks", "every:2"})
    EXPECT_EQ(config({cat("train.activation_checkpoint=", good)})->train.activation_checkpoint, good);
  for (const char* bad : {"on", "every", "every:0", "every:-1", "every:x", "every:99999999999"})
    EXPECT_THAT(error_with(cat("train.activation_checkpoint=", bad)), HasSubstr("off, blocks, every:N")) << bad;
}

TEST_F(ConfigTest, BatchAndRanks) {
  const auto read = config({"train.batch=24", "train.accumulate=2"});
  EXPECT_EQ(read->micro_batch(4), 3);
  EXPECT_THAT(error_of<UsageError>([&] { read->micro_batch(5); }),
              HasSubstr("24 is not divisible by 5 ranks x train.accumulate 2"));
}

// Minibatch deviation compares four samples that follow each other.
TEST_F(ConfigTest, BatchesThatADiscriminatorCannotCompareAreRefused) {
  for (const char* recipe : {"gigagan", "upsampler"}) {
    const std::string start = cat("recipe: ", recipe, "\ndata: {resolution: 32, captions: true}\n");
    EXPECT_THAT(error(start + "train: {batch: 7}\n"), HasSubstr("7 samples at once, no multiple of the 4"));
    EXPECT_THAT(error(start + "train: {batch: 8, accumulate: 4}\n"), HasSubstr("2 samples at once"));
    const auto config = parse_config(start + "train: {batch: 8}\n", "run.yaml");
    EXPECT_EQ(config->micro_batch(2), 4);
    EXPECT_THAT(error_of<UsageError>([&] { config->micro_batch(4); }), HasSubstr("no multiple of the 4"));
    EXPECT_EQ(parse_config(start + "train: {batch: 2}\n", "run.yaml")->micro_batch(1), 2);
  }
}

}  // namespace
}  // namespace gigacat::run
