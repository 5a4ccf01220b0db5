// What a run tells: log lines, metrics.jsonl, TensorBoard, the progress bar.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/core/files.h"
#include "gigacat/core/progress.h"
#include "gigacat/dist/group.h"
#include "gigacat/eval/evaluate.h"
#include "gigacat/io/events.h"
#include "gigacat/io/image.h"
#include "gigacat/recipes/recipe.h"
#include "gigacat/run/config.h"
#include "gigacat/run/run_folder.h"
#include "train/health.h"
#include "train/stopwatch.h"

namespace gigacat::train {

using Figures = std::vector<std::pair<std::string, double>>;

// One network's side of a step.
struct HalfFigures {
  Figures losses;  // "loss" first, then the recipe's terms
  double grad_norm = 0, lr = 0, loss_scale = 1;
  int64_t skipped = 0;  // steps in all
};

struct StepFigures {
  int64_t step = 0, images = 0;  // done so far
  HalfFigures discriminator, generator;
  Figures diagnostics;
};

// Losses ("loss" first, then the terms) of several micro-batches, averaged over them and over all ranks by one
// exchange. `losses`: one list for each network. A collective: every rank must call it. Errors: as Group.
std::vector<Figures> mean_losses(const std::vector<std::vector<recipes::Loss>>& losses, dist::Group& group);

// The figures of all ranks averaged; names must be equal. A collective. Errors: as Group.
Figures mean_over_ranks(Figures figures, dist::Group& group);

// Rank 0's alone; other ranks have none.
class Monitor {
 public:
  // Appends to the run's files. `step_cost`: FLOPs of one sample's step; `step`, `images`: done already. Errors: Error
  // when a file cannot be opened.
  Monitor(const run::RunConfig& config, const run::RunFolder& folder, int world, double step_cost, int64_t step,
          int64_t images);
  // After each step.
  void progress(int64_t step);
  // At a log interval: everything is written, and warned of what is wrong. `split`: see Stopwatch::take. Errors: Error
  // where train.stop_on says that it ends the run.
  void record(const StepFigures& figures, const std::array<double, 4>& split, const Memory& memory);
  // See Health.
  std::optional<int64_t> diverging_since() const { return health_.diverging_since(); }
  // The results of an evaluation: a line of metrics.jsonl and a log line for each, scalars eval/NAME.
  void scores(const std::vector<eval::Result>& results, int64_t step);
  // An image into samples/NAME-STEP.png and the event file.
  void image(const std::string& name, const io::Image& image, int64_t step);
  // File of the last grid of samples that image() wrote; empty when there is none.
  const std::filesystem::path& last_image() const { return last_image_; }
  // Removes the progress bar.
  void finish();

 private:
  Figures flatten(const StepFigures& figures, const std::array<double, 4>& split, const Memory& memory);
  void recall();
  void warn_of_faults(int64_t step, const Figures& figures);
  std::string advice(const Fault& fault) const;
  std::string way_back() const;
  const run::RunConfig& config_;
  run::RunFolder folder_;
  int world_;
  double step_cost_;
  Health health_;
  int64_t images_before_;
  std::chrono::steady_clock::time_point recorded_;
  std::string note_;
  std::filesystem::path last_image_;
  FileWriter metrics_;
  std::unique_ptr<io::EventWriter> events_;
  Progress progress_;
};

}  // namespace gigacat::train
