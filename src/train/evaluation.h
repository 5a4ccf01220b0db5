// Metrics of the averaged generator while a run goes on.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/eval/evaluate.h"
#include "gigacat/recipes/recipe.h"
#include "gigacat/run/config.h"
#include "train/setup.h"

namespace gigacat::train {

struct Evaluated {
  std::vector<eval::Result> results;
  bool is_best = false;  // of all evaluations of the run so far, by eval.best
};

// Where a run keeps its best checkpoint, and which one that is: RUN/best and RUN/best.json.
class BestCheckpoint {
 public:
  // `folder` of the run. Errors: Error for a best.json that is damaged.
  explicit BestCheckpoint(std::filesystem::path folder);
  std::optional<double> value() const { return value_; }
  // RUN/best becomes the checkpoint (by hard links, complete at once). Errors: Error.
  void keep(const std::filesystem::path& checkpoint, int64_t step, const std::string& metric, double value);

 private:
  std::filesystem::path folder_;
  std::optional<double> value_;
};

class Evaluation {
 public:
  // All ranks share the work: every rank makes one. `best`: the value to beat, on rank 0. Errors: UsageError when a
  // metric, the reference or the weights are not there, or the generator makes latents and no autoencoder is given.
  Evaluation(const run::RunConfig& config, const RunContext& context, std::optional<double> best);
  // Whether this step ends with an evaluation.
  bool is_due(int64_t step) const;
  // Samples of `generator` against the reference; the same on all ranks. A collective. Errors: as eval::evaluate.
  Evaluated run(torch::nn::Module& generator);

 private:
  // The metrics of one psi.
  std::vector<eval::Result> measure(torch::nn::Module& generator, double truncation);
  const run::RunConfig& config_;
  models::Model& model_;
  dist::Group& group_;
  const pretrained::LatentSpace& space_;
  eval::FeatureNetworks networks_;
  eval::Side real_;
  std::optional<double> best_;
};

// The figure that eval.best names. Errors: UsageError when no metric gives it.
double figure_of(const std::vector<eval::Result>& results, const std::string& name);

}  // namespace gigacat::train
