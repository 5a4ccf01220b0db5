// A config as YAML, JSON Schema and Markdown, and the difference of two.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "config_sample.h"

namespace gigacat::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Reads the printed config into another one and compares field by field.
void expect_round_trip(const SampleConfig& config) {
  const std::string yaml = to_yaml(config.binder);
  SampleConfig again;
  ASSERT_NO_THROW(again.read(yaml)) << yaml;
  EXPECT_THAT(differences(config.binder, again.binder, /*skip_free=*/false), IsEmpty()) << yaml;
  EXPECT_EQ(again.name, config.name) << yaml;
  EXPECT_EQ(again.train.tags, config.train.tags) << yaml;
  EXPECT_EQ(again.train.betas, config.train.betas) << yaml;
}

TEST(Yaml, PrintsEveryFieldInItsSection) {
  const SampleConfig config;
  EXPECT_EQ(to_yaml(config.binder), R"(name: run
seed: 0
model:
  generator:
    depth: 12
    hidden: 384
    heads: 6
    qk_norm: true
train:
  steps: 1000
  lr: 0.0002
  clip: .inf
  precision: fp32
  betas: [0, 0.99]
  sizes: [8, 16]
  tags: []
)");
}

TEST(Yaml, SaysWhereValuesComeFrom) {
  SampleConfig config;
  config.read("seed: 5", {"train.lr=1"});
  const std::string yaml = to_yaml(config.binder, /*origins=*/true);
  EXPECT_THAT(yaml, HasSubstr("seed: 5  # c.yaml:1:7\n"));
  EXPECT_THAT(yaml, HasSubstr("  lr: 1  # command line\n"));
  EXPECT_THAT(yaml, HasSubstr("  steps: 1000  # default\n"));
  SampleConfig again;
  again.read(yaml);
  EXPECT_EQ(again.seed, 5);
}

TEST(Yaml, NumbersReadBackEqual) {
  SampleConfig config;
  for (const double value : {0.1, 1.0 / 3, 1e-300, 5e-324, 0.99999999999999989, 0.0, -0.0, 1.0}) {
    config.train.betas = {value, value / 3};
    expect_round_trip(config);
  }
  for (const int64_t value : {INT64_MIN, INT64_MAX, int64_t{-1}}) {
    config.seed = value;
    expect_round_trip(config);
  }
}

TEST(Yaml, TextReadsBackEqual) {
  ::setenv("GIGACAT_TEST_N", "12", 1);
  SampleConfig config;
  for (const std::string text : {"",
                                 " ",
                                 "a b",
                                 " a ",
                                 "true",
                                 "No",
                                 "null",
                                 "~",
                                 "12",
                                 "1e3",
                                 ".inf",
                                 "0x1F",
                                 "-",
                                 "- a",
                                 "a: b",
                                 "a #b",
                                 "#a",
                                 "*.tar",
                                 "&a",
                                 "!t",
                                 "%a",
                                 "@a",
                                 "`a`",
                                 "[a]",
                                 "{a: b}",
                                 "a, b",
                                 "'a'",
                                 "\"a\"",
                                 "a\\b",
                                 "a\nb\n",
                                 "a\r\nb",
                                 "\t",
                                 "\x01\x1B[0m\x7F",
                                 "${GIGACAT_TEST_N}",
                                 "$${GIGACAT_TEST_N}",
                                 "$$$${",
                                 "${",
                                 "$",
                                 "caf\xC3\xA9 \xF0\x9F\x90\xB1",
                                 "\xC2\x85\xE2\x80\xA8\xEF\xBB\xBF",
                                 "/data/train.zip",
                                 "../x",
                                 "a=b",
                                 "?",
                                 "? a",
                                 "|",
                                 ">",
                                 "---",
                                 "...",
                                 "<<",
                                 "a'b\"c",
                                 "2024-01-01"}) {
    config.name = text;
    config.train.tags = {text, "x", text};
    expect_round_trip(config);
  }
}

TEST(Yaml, ValuesAreOverridesToo) {
  SampleConfig config, again;
  config.name = "a: [b] ${x}";
  config.train.tags = {"a, b", "c"};
  again.read("", {cat("name=", value_text(config.binder.at("name"))),
                  cat("train.tags=", value_text(config.binder.at("train.tags")))});
  EXPECT_EQ(again.name, config.name);
  EXPECT_EQ(again.train.tags, config.train.tags);
}

TEST(Schema, DescribesFields) {
  const SampleConfig config;
  const nlohmann::json schema = to_json_schema(config.binder, "a title");
  EXPECT_EQ(schema["title"], "a title");
  EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
  EXPECT_EQ(schema["additionalProperties"], false);
  EXPECT_TRUE(schema["properties"].contains("include"));
  const nlohmann::json& generator = schema["properties"]["model"]["properties"]["generator"];
  EXPECT_EQ(generator["type"], "object");
  EXPECT_EQ(generator["additionalProperties"], false);
  EXPECT_EQ(generator["description"], "the network G");
  const nlohmann::json depth = {{"type", "integer"},
                                {"default", 12},
                                {"minimum", 1},
                                {"maximum", 64},
                                {"description", "transformer blocks (table 1)"}};
  EXPECT_EQ(generator["properties"]["depth"], depth);
  EXPECT_EQ(generator["properties"]["qk_norm"]["type"], "boolean");
  EXPECT_EQ(generator["properties"]["qk_norm"]["default"], true);
}

TEST(Schema, DescribesListsChoicesAndLimits) {
  const SampleConfig config;
  const nlohmann::json train = to_json_schema(config.binder, "t")["properties"]["train"]["properties"];
  EXPECT_EQ(train["precision"]["enum"], (std::vector<std::string>{"fp32", "bf16", "fp16"}));
  EXPECT_EQ(train["precision"]["default"], "fp32");
  EXPECT_EQ(train["lr"]["type"], "number");
  EXPECT_EQ(train["lr"]["default"], 2e-4);
  EXPECT_EQ(train["steps"]["description"], "number of steps [steps]");
  EXPECT_FALSE(train["steps"].contains("maximum"));
  EXPECT_FALSE(train["clip"].contains("default"));
  const nlohmann::json sizes = {{"type", "array"},
                                {"default", {8, 16}},
                                {"items", {{"type", "integer"}, {"minimum", 1}}},
                                {"description", "pixels [px]"}};
  EXPECT_EQ(train["sizes"], sizes);
  EXPECT_EQ(train["tags"]["default"], nlohmann::json::array());
}

TEST(Schema, DefaultsAreThoseOfTheDeclaration) {
  SampleConfig config;
  config.read("seed: 9");
  EXPECT_EQ(to_json_schema(config.binder, "t")["properties"]["seed"]["default"], 0);
}

TEST(Markdown, ATableForEachSection) {
  const SampleConfig config;
  const std::string text = to_markdown(config.binder);
  EXPECT_THAT(text, HasSubstr("## Top level\n\n| key | type | default | range or choices | unit | help | source |\n"));
  EXPECT_THAT(text, HasSubstr("## `model.generator`\n\nthe network G\n\n| key"));
  EXPECT_THAT(text, HasSubstr("| `depth` | whole number | `12` | 1 to 64 |  | transformer blocks | table 1 |\n"));
  EXPECT_THAT(text, HasSubstr("| `precision` | text | `fp32` | fp32, bf16, fp16 |  | of activations |  |\n"));
  EXPECT_THAT(text, HasSubstr("| `sizes` | list of whole numbers | `[8, 16]` | at least 1 | px | pixels |  |\n"));
  EXPECT_THAT(text, HasSubstr("normalise queries \\| keys"));
}

TEST(Differences, ShowBothValues) {
  SampleConfig a, b;
  EXPECT_THAT(differences(a.binder, b.binder, false), IsEmpty());
  b.seed = 4;
  b.train.steps = 5;
  b.train.betas = {0.5};
  EXPECT_THAT(differences(a.binder, b.binder, /*skip_free=*/false),
              ElementsAre("seed: 0 -> 4", "train.steps: 1000 -> 5", "train.betas: [0, 0.99] -> [0.5]"));
  EXPECT_THAT(differences(a.binder, b.binder, /*skip_free=*/true),
              ElementsAre("seed: 0 -> 4", "train.betas: [0, 0.99] -> [0.5]"));
}

TEST(Differences, ListFieldsOfOneSideAlone) {
  Binder a, b;
  int64_t x, y, z;
  a.field("same", x, 1, "");
  b.field("same", x, 1, "");
  a.field("old", y, 2, "");
  b.field("new", z, 3, "");
  EXPECT_THAT(differences(a, b, true), ElementsAre("old: 2 -> (absent)", "new: (absent) -> 3"));
}

}  // namespace
}  // namespace gigacat::config
