// A data set for the toy GAN, and runs on it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/fixtures.h"
#include "gigacat/nn/state.h"
#include "gigacat/run/config.h"
#include "gigacat/train/trainer.h"

namespace gigacat::train {

using data::error_of;
using data::TempFolder;
namespace fs = std::filesystem;

// Registers the toy recipe, once, and makes 24 images of 8 x 8 in two classes.
class ToyTest : public testing::Test {
 protected:
  ToyTest();
  // Overrides of toy.yaml that put the run into this test's folder.
  std::vector<std::string> overrides(const std::vector<std::string>& more = {}) const;
  std::unique_ptr<run::RunConfig> config(const std::vector<std::string>& more = {}) const;
  // Trains in this process; returns the run folder. The exit code must be `code`.
  fs::path run(const std::vector<std::string>& more = {}, const TrainOptions& options = {}, int code = 0) const;
  // Goes on with a run.
  void resume(const fs::path& run, const std::vector<std::string>& more = {},
              const std::vector<std::string>& allow = {}) const;
  std::string out() const { return folder_.path("runs"); }

  TempFolder folder_;
};

std::string toy_yaml();
// A config of a tiny GAT or CAT on the toy's images; its path.
std::string tiny_yaml(const TempFolder& folder, const std::string& recipe);
// Newest run folder.
fs::path newest_run(const fs::path& out);
// All tensors of the checkpoint of `step`, "FILE/NAME".
nn::TensorMap weights_of(const fs::path& run, int64_t step);
// Largest difference relative to the largest value of each tensor; names must agree.
double difference(const nn::TensorMap& a, const nn::TensorMap& b);
// The same in the Euclidean norm: |a - b| / |a| of the worst tensor.
double distance(const nn::TensorMap& a, const nn::TensorMap& b);
// All lines of metrics.jsonl, parsed.
std::vector<nlohmann::json> metrics_of(const fs::path& run);
// Bytes of a file changed in place.
void flip_bit(const fs::path& file, uint64_t offset);

}  // namespace gigacat::train
