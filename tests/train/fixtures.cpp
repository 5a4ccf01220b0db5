#include "train/fixtures.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "gigacat/core/log.h"
#include "gigacat/run/checkpoint.h"
#include "gigacat/run/run_folder.h"
#include "paths.h"
#include "train/toy/recipe.h"

namespace gigacat::train {
namespace {

bool register_once() {
  recipes::register_recipe("toy", toy::make);
  log::set_level(log::Level::error);
  return true;
}

// size(a - b) / size(a) of the worst tensor.
template <class Size>
double worst(const nn::TensorMap& a, const nn::TensorMap& b, const Size& size) {
  double worst = 0;
  EXPECT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    if (other == b.end()) {
      ADD_FAILURE() << name << " is missing";
      continue;
    }
    const at::Tensor x = tensor.to(at::kDouble), y = other->second.to(at::kDouble);
    worst = std::max(worst, size(x - y) / std::max(1e-12, size(x)));
  }
  return worst;
}

}  // namespace

ToyTest::ToyTest() {
  [[maybe_unused]] static const bool registered = register_once();
  for (int i = 0; i < 24; ++i)
    folder_.write(cat("images/", i % 2 ? "b" : "a", "/", i, ".png"),
                  data::solid_png(8, 8, static_cast<uint8_t>(10 * i), static_cast<uint8_t>(255 - 9 * i), 90));
}

std::vector<std::string> ToyTest::overrides(const std::vector<std::string>& more) const {
  std::vector<std::string> all{"out=" + out(), "data.path=" + folder_.path("images"), "data.cache=none",
                               "log.sample_count=4", "train.device=cpu"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::unique_ptr<run::RunConfig> ToyTest::config(const std::vector<std::string>& more) const {
  return run::load_config(toy_yaml(), overrides(more));
}

fs::path ToyTest::run(const std::vector<std::string>& more, const TrainOptions& options, int code) const {
  const auto loaded = config(more);
  EXPECT_EQ(train(*loaded, {}, options), code);
  return newest_run(out());
}

void ToyTest::resume(const fs::path& run, const std::vector<std::string>& more,
                     const std::vector<std::string>& allow) const {
  const auto loaded = run::load_config(run / "config.yaml", more);
  EXPECT_EQ(train(*loaded, {}, {.resume = run, .allow = allow}), 0);
}

std::string toy_yaml() { return std::string(test::source_dir()) + "/tests/train/toy/toy.yaml"; }

std::string tiny_yaml(const TempFolder& folder, const std::string& recipe) {
  return folder.write(recipe + ".yaml", cat("recipe: ", recipe, R"(
data: {resolution: 8}
model:
  generator: {depth: 4, hidden: 32, heads: 2, patch: 2}
  discriminator: {depth: 4, hidden: 32, heads: 2, patch: 2, cmap_dim: 32, projector_dim: 32}
optimizer: {lr: 2e-5}
train: {steps: 12, batch: 8}
log: {samples_every: 0}
checkpoint: {every: 5}
)"));
}

fs::path newest_run(const fs::path& out) {
  const auto runs = run::list_runs(out);
  return runs.empty() ? fs::path() : runs.front();
}

nn::TensorMap weights_of(const fs::path& run, int64_t step) {
  nn::TensorMap all;
  const run::Checkpoint checkpoint = run::read_checkpoint(run::checkpoint_path(run / "checkpoints", step));
  for (const auto& [stem, tensors] : checkpoint.tensors)
    for (const auto& [name, tensor] : tensors) all[cat(stem, "/", name)] = tensor;
  return all;
}

double difference(const nn::TensorMap& a, const nn::TensorMap& b) {
  return worst(a, b, [](const at::Tensor& x) { return x.abs().max().item<double>(); });
}

double distance(const nn::TensorMap& a, const nn::TensorMap& b) {
  return worst(a, b, [](const at::Tensor& x) { return x.norm().item<double>(); });
}

std::vector<nlohmann::json> metrics_of(const fs::path& run) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(run / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

void flip_bit(const fs::path& file, uint64_t offset) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(stream.get() ^ 1);
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(byte);
}

}  // namespace gigacat::train
