// Values, their types and limits, and what is said about wrong ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "config_sample.h"

namespace gigacat::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

TEST(Binder, SetsDefaults) {
  const auto generator = defaults<GeneratorConfig>();
  EXPECT_EQ(generator.depth, 12);
  EXPECT_TRUE(generator.qk_norm);
  const SampleConfig config;
  EXPECT_EQ(config.name, "run");
  EXPECT_EQ(config.train.lr, 2e-4);
  EXPECT_THAT(config.train.sizes, ElementsAre(8, 16));
}

TEST(Binder, KnowsItsFields) {
  const SampleConfig config;
  const Field& field = config.binder.at("model.generator.depth");
  EXPECT_EQ(field.default_text, "12");
  EXPECT_EQ(field.help, "transformer blocks");
  EXPECT_EQ(field.origin, "default");
  EXPECT_EQ(field.meta.source, "table 1");
  EXPECT_EQ(config.binder.find("model.generator"), nullptr);
  EXPECT_THROW(config.binder.at("model.depth"), InternalError);
  EXPECT_EQ(config.binder.sections().at("model.generator"), "the network G");
}

TEST(Binder, RefusesWrongDeclarations) {
  Binder b;
  int64_t number;
  std::string text;
  b.field("a", number, 1, "");
  EXPECT_THROW(b.field("a", number, 1, ""), InternalError);
  EXPECT_THROW(b.open("a", ""), InternalError);
  EXPECT_THROW(b.close(), InternalError);
  EXPECT_THROW(b.field("b", number, 0, "", {.min = 1}), InternalError);
  EXPECT_THROW(b.field("c", text, "x", "", {.choices = {"y"}}), InternalError);
}

TEST(Apply, SetsEveryKindOfField) {
  SampleConfig config;
  config.read(R"(
name: first run
seed: 7
model: {generator: {depth: 24, qk_norm: off}}
train:
  lr: 1e-3
  clip: .inf
  precision: "bf16"
  betas: [0, 0.5]
  sizes: []
  tags: [a, "b, c", 3]
)");
  EXPECT_EQ(config.name, "first run");
  EXPECT_EQ(config.seed, 7);
  EXPECT_EQ(config.model.generator.depth, 24);
  EXPECT_FALSE(config.model.generator.qk_norm);
  EXPECT_EQ(config.train.lr, 1e-3);
  EXPECT_TRUE(std::isinf(config.train.clip));
  EXPECT_EQ(config.train.precision, "bf16");
  EXPECT_THAT(config.train.betas, ElementsAre(0, 0.5));
  EXPECT_THAT(config.train.sizes, IsEmpty());
  EXPECT_THAT(config.train.tags, ElementsAre("a", "b, c", "3"));
  EXPECT_EQ(config.train.steps, 1000);
}

TEST(Apply, EmptyDocumentsAndSectionsKeepDefaults) {
  for (const char* yaml :
       {"", "\n# nothing\n", "---\n", "model:\ntrain: {}\n", "model: {generator: }", "\xEF\xBB\xBFseed: 0"}) {
    EXPECT_THAT(mistakes(yaml), IsEmpty()) << yaml;
  }
}

TEST(Apply, RecordsOrigins) {
  SampleConfig config;
  config.read("seed: 3\nmodel:\n  generator:\n    depth: 4\n", {"train.steps=5"});
  EXPECT_EQ(config.binder.at("seed").origin, "c.yaml:1:7");
  EXPECT_EQ(config.binder.at("model.generator.depth").origin, "c.yaml:4:12");
  EXPECT_EQ(config.binder.at("train.steps").origin, "command line");
  EXPECT_EQ(config.binder.at("train.lr").origin, "default");
}

TEST(Apply, WholeNumbers) {
  for (const auto& [text, value] : std::map<std::string, int64_t>{{"12", 12},
                                                                  {"+12", 12},
                                                                  {"-3", -3},
                                                                  {"1e6", 1'000'000},
                                                                  {"2.5e3", 2500},
                                                                  {"64.0", 64},
                                                                  {"010", 10},
                                                                  {"9223372036854775807", INT64_MAX}}) {
    SampleConfig config;
    config.read("seed: " + text);
    EXPECT_EQ(config.seed, value) << text;
  }
  for (const char* text : {"1.5", "1e-3", "abc", "true", "\"12\"", "'12'", "0x10", "1_000", "12 px", "1,000", "--1",
                           "+-1", ".inf", "nan", "e", "'-'"}) {
    EXPECT_THAT(mistakes(cat("seed: ", text)),
                ElementsAre(StartsWith("c.yaml:1:7: seed: expected a whole number, got")))
        << text;
  }
  for (const char* text : {"9223372036854775808", "-9223372036854775809", "1e30", "1e400"}) {
    EXPECT_THAT(mistakes(cat("seed: ", text)), ElementsAre(HasSubstr("does not fit into a 64-bit"))) << text;
  }
}

TEST(Apply, Numbers) {
  for (const auto& [text, value] :
       std::map<std::string, double>{{"1", 1}, {"0.5", 0.5}, {".5", 0.5}, {"1.", 1}, {"5E-1", 0.5}, {"+0", 0}}) {
    SampleConfig config;
    config.read("train: {lr: " + text + "}");
    EXPECT_EQ(config.train.lr, value) << text;
  }
  for (const char* text : {"abc", "true", "'1'", "1e", "0.1.2", ".nan", "nan", "inf", "1e-3x", "0x1p3", "1 2"}) {
    EXPECT_THAT(mistakes(cat("train:\n  lr: ", text)),
                ElementsAre(StartsWith("c.yaml:2:7: train.lr: expected a number, got")))
        << text;
  }
  EXPECT_THAT(mistakes("train: {lr: 1e999}"), ElementsAre(HasSubstr("does not fit")));
}

TEST(Apply, TruthValues) {
  for (const char* text : {"true", "yes", "on", "True", "YES", "On"}) {
    SampleConfig config;
    config.model.generator.qk_norm = false;
    config.read(cat("model: {generator: {qk_norm: ", text, "}}"));
    EXPECT_TRUE(config.model.generator.qk_norm) << text;
  }
  for (const char* text : {"1", "0", "y", "\"true\"", "truee", "[]"}) {
    EXPECT_THAT(mistakes(cat("model: {generator: {qk_norm: ", text, "}}")),
                ElementsAre(HasSubstr("model.generator.qk_norm: expected true or false, got")))
        << text;
  }
}

TEST(Apply, TextTakesAnyScalar) {
  for (const char* text : {"12", "1.5", "true", "a b", "2024-01-01", "''", "\"x\"", "/data/*.tar", "a=b"}) {
    EXPECT_THAT(mistakes(cat("name: ", text)), IsEmpty()) << text;
  }
  SampleConfig config;
  config.read("name: |\n  two\n  lines\n");
  EXPECT_EQ(config.name, "two\nlines\n");
  EXPECT_THAT(mistakes("name: [a]"), ElementsAre("c.yaml:1:7: name: expected text, got a list"));
}

TEST(Apply, NoValue) {
  for (const char* yaml : {"name:", "name: ~", "name: null", "seed: ", "train: {betas: ~}", "train: {lr: }"}) {
    EXPECT_THAT(mistakes(yaml), ElementsAre(HasSubstr("no value given"))) << yaml;
  }
  EXPECT_THAT(mistakes("train: {tags: [a, ~]}"), ElementsAre(HasSubstr("train.tags: item 2: no value given")));
  EXPECT_THAT(mistakes("", {"name=null"}), ElementsAre("command line: name: no value given"));
}

TEST(Apply, Ranges) {
  EXPECT_THAT(mistakes("train:\n  steps: -1\n"),
              ElementsAre("c.yaml:2:10: train.steps: -1 is out of range: at least 0 steps"));
  EXPECT_THAT(mistakes("train: {lr: 1.5}"), ElementsAre("c.yaml:1:13: train.lr: 1.5 is out of range: 0 to 1"));
  EXPECT_THAT(mistakes("model: {generator: {depth: 65}}"), ElementsAre(HasSubstr("65 is out of range: 1 to 64")));
  EXPECT_THAT(mistakes("train: {lr: 0}"), IsEmpty());
  EXPECT_THAT(mistakes("train: {lr: 1}"), IsEmpty());
}

TEST(Apply, Choices) {
  EXPECT_THAT(mistakes("train: {precision: bf61}"),
              ElementsAre("c.yaml:1:20: train.precision: \"bf61\" is none of fp32, bf16, fp16; did you mean bf16?"));
  EXPECT_THAT(mistakes("train: {precision: quarter}"), ElementsAre(Not(HasSubstr("did you mean"))));
}

TEST(Apply, Lists) {
  EXPECT_THAT(mistakes("train: {betas: 0.9}"),
              ElementsAre("c.yaml:1:16: train.betas: expected a list of numbers, got \"0.9\"; write [0.9]"));
  EXPECT_THAT(mistakes("train:\n  betas:\n    - 0.9\n    - x\n    - 2\n"),
              ElementsAre("c.yaml:4:7: train.betas: item 2: expected a number, got \"x\"",
                          "c.yaml:5:7: train.betas: item 3: 2 is out of range: 0 to 1"));
  EXPECT_THAT(mistakes("train: {sizes: [1, [2]]}"), ElementsAre(HasSubstr("a list holds plain values")));
  EXPECT_THAT(mistakes("train: {sizes: [1, {a: 2}]}"), ElementsAre(HasSubstr("a list holds plain values")));
  EXPECT_THAT(mistakes("train: {sizes: {a: 2}}"),
              ElementsAre(HasSubstr("expected a list of whole numbers, got a section")));
  EXPECT_THAT(mistakes("train: {steps: [1]}"), ElementsAre(HasSubstr("expected a whole number, got a list")));
}

TEST(Apply, UnknownKeysNameTheNearest) {
  EXPECT_THAT(mistakes("sede: 1"), ElementsAre("c.yaml:1:1: sede: unknown key; did you mean seed?"));
  EXPECT_THAT(mistakes("model:\n  generator:\n    dpeth: 1"),
              ElementsAre("c.yaml:3:5: model.generator.dpeth: unknown key; did you mean model.generator.depth?"));
  // The right key in the wrong section, or in none.
  EXPECT_THAT(mistakes("steps: 1"), ElementsAre("c.yaml:1:1: steps: unknown key; did you mean train.steps?"));
  EXPECT_THAT(mistakes("lr: 1"), ElementsAre("c.yaml:1:1: lr: unknown key; did you mean train.lr?"));
  EXPECT_THAT(mistakes("model: {depth: 1}"), ElementsAre(HasSubstr("did you mean model.generator.depth?")));
  EXPECT_THAT(
      mistakes("train: {bogusword: 1}"),
      ElementsAre(
          "c.yaml:1:9: train.bogusword: unknown key; train has betas, clip, lr, precision, sizes, steps, tags"));
  EXPECT_THAT(mistakes("bogusword: 1"), ElementsAre(HasSubstr("the top level has name, seed, model, train")));
}

TEST(Apply, AnUnknownSectionIsOneMistake) {
  EXPECT_THAT(mistakes("modle:\n  generator:\n    depth: 1\n    hidden: 2\n"),
              ElementsAre("c.yaml:1:1: modle: unknown key; did you mean model?"));
  EXPECT_THAT(mistakes("seed: {a: 1, b: {c: 2}}"),
              ElementsAre("c.yaml:1:1: seed: expected a whole number, got a section"));
  EXPECT_THAT(mistakes("model: 5"),
              ElementsAre("c.yaml:1:1: model: is a section, not a value; its keys are generator"));
  EXPECT_THAT(mistakes("model: [a]"), ElementsAre(HasSubstr("is a section")));
}

TEST(Apply, ImpossibleCombinations) {
  EXPECT_THAT(mistakes("model:\n  generator:\n    hidden: 100\n    heads: 7\n"),
              ElementsAre("c.yaml:3:13: model.generator.hidden: hidden 100 is not divisible by heads 7"));
  // The field that was set is pointed at when the other has its default.
  EXPECT_THAT(mistakes("model:\n  generator:\n    heads: 7\n"),
              ElementsAre("c.yaml:3:12: model.generator.hidden: hidden 384 is not divisible by heads 7"));
}

TEST(Apply, ChecksNeverSeeValuesOutOfRange) {
  // heads 0 would divide by zero.
  EXPECT_THAT(mistakes("model: {generator: {heads: 0}}"), ElementsAre(HasSubstr("0 is out of range: at least 1")));
}

TEST(Apply, AllMistakesAtOnceInTheirOrder) {
  EXPECT_THAT(mistakes(R"(sede: 1
train:
  lr: fast
  steps: -5
  steps: 6
  tags: ${GIGACAT_TEST_UNSET}
model:
  generator:
    hidden: 100
    heads: 7
)",
                       {"train.stpes=5", "oops"}),
              ElementsAre("c.yaml:1:1: sede: unknown key; did you mean seed?",
                          "c.yaml:3:7: train.lr: expected a number, got \"fast\"",
                          "c.yaml:4:10: train.steps: -5 is out of range: at least 0 steps",
                          "c.yaml:5:3: train.steps: duplicate key, given before at c.yaml:4:3",
                          HasSubstr("c.yaml:6:9: train.tags: the environment variable GIGACAT_TEST_UNSET is not set"),
                          "c.yaml:9:13: model.generator.hidden: hidden 100 is not divisible by heads 7",
                          "command line: \"oops\": write path=value",
                          "command line: train.stpes: unknown key; did you mean train.steps?"));
}

TEST(Apply, ManyMistakesAreCutShort) {
  std::string yaml;
  for (int i = 0; i < 50'000; ++i) yaml += cat("wrong_key_", i, ": 1\n");
  const std::vector<std::string> lines = mistakes(yaml);
  ASSERT_EQ(lines.size(), 101);
  EXPECT_EQ(lines[100], "and 49900 more mistakes");
}

TEST(Apply, HostileTextIsShownHarmlessAndShort) {
  const std::vector<std::string> lines = mistakes("seed: \"\\e[2J" + std::string(10'000, 'x') + "\"");
  ASSERT_EQ(lines.size(), 1);
  EXPECT_LT(lines[0].size(), 200);
  EXPECT_THAT(lines[0], HasSubstr("\\x1b[2Jxxx"));
}

TEST(Complaint, PointsAtTheFieldOrOneItNames) {
  SampleConfig config;
  config.read("seed: 3\ntrain: {steps: 9}");
  EXPECT_EQ(complaint(config.binder, "seed", "too small"), "c.yaml:1:7: seed: too small");
  EXPECT_EQ(complaint(config.binder, "train.lr", "not with steps 9"), "c.yaml:2:16: train.lr: not with steps 9");
  EXPECT_EQ(complaint(config.binder, "train.lr", "not with train.steps 9"),
            "c.yaml:2:16: train.lr: not with train.steps 9");
  EXPECT_EQ(complaint(config.binder, "name", "too short"), "name: too short");
  EXPECT_THROW(complaint(config.binder, "nothing", "x"), InternalError);
}

}  // namespace
}  // namespace gigacat::config
