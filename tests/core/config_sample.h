// A config with every kind of field, for the tests.
#pragma once

#include <string>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/core/error.h"

namespace gigacat::config {

struct GeneratorConfig {
  int64_t depth, hidden, heads;
  bool qk_norm;
  void bind(Binder& b) {
    b.field("depth", depth, 12, "transformer blocks", {.min = 1, .max = 64, .source = "table 1"});
    b.field("hidden", hidden, 384, "width D of a token", {.min = 8});
    b.field("heads", heads, 6, "attention heads", {.min = 1});
    b.field("qk_norm", qk_norm, true, "normalise queries | keys");
    b.check("hidden",
            [this] { return hidden % heads == 0 ? "" : cat("hidden ", hidden, " is not divisible by heads ", heads); });
  }
};

struct ModelConfig {
  GeneratorConfig generator;
  void bind(Binder& b) { b.section("generator", generator, "the network G"); }
};

struct TrainConfig {
  int64_t steps;
  double lr, clip;
  std::string precision;
  std::vector<double> betas;
  std::vector<int64_t> sizes;
  std::vector<std::string> tags;
  void bind(Binder& b) {
    b.field("steps", steps, 1000, "number of steps", {.min = 0, .unit = "steps", .free_on_resume = true});
    b.field("lr", lr, 2e-4, "learning rate", {.min = 0, .max = 1});
    b.field("clip", clip, std::numeric_limits<double>::infinity(), "largest gradient norm", {.min = 0});
    b.field("precision", precision, "fp32", "of activations", {.choices = {"fp32", "bf16", "fp16"}});
    b.field("betas", betas, {0.0, 0.99}, "of Adam", {.min = 0, .max = 1});
    b.field("sizes", sizes, {8, 16}, "pixels", {.min = 1, .unit = "px"});
    b.field("tags", tags, {}, "free words");
  }
};

struct SampleConfig {
  std::string name;
  int64_t seed;
  ModelConfig model;
  TrainConfig train;
  Binder binder;

  SampleConfig() { bind(binder); }
  SampleConfig(const SampleConfig&) = delete;
  void bind(Binder& b) {
    b.field("name", name, "run", "shown in logs");
    b.field("seed", seed, 0, "of all random streams");
    b.section("model", model, "the networks");
    b.section("train", train, "the loop");
  }
  // Errors: as Document::parse and apply.
  void read(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
    Document::parse(yaml, "c.yaml", overrides).apply(binder);
  }
};

// Lines of the UsageError that reading gives; none when it gives none.
inline std::vector<std::string> mistakes(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  try {
    SampleConfig config;
    config.read(yaml, overrides);
  } catch (const UsageError& error) {
    return split(error.what(), '\n');
  }
  return {};
}

}  // namespace gigacat::config
