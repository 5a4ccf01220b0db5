// The training loop. It knows recipes by their interface alone.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/dist/launcher.h"
#include "gigacat/io/image.h"
#include "gigacat/run/config.h"

namespace gigacat::train {

// Exit codes of a run that ended early on request, with a checkpoint written.
using dist::kExitInterrupted, dist::kExitTerminated, dist::kExitTimeLimit;

struct TrainOptions {
  // A run folder, which goes on; a checkpoint, from which a new run begins; empty: a new run.
  std::filesystem::path resume;
  std::vector<std::string> allow;  // keys that may differ from the run's own config when resuming
  std::string command;             // for run.json
  // Called on rank 0 when all steps are done, with the first samples of the averaged generator as RGB images.
  std::function<void(const std::vector<io::Image>& samples)> show_samples;
};

// Trains until config.train.steps. Returns 0 or one of the codes above.
// Errors: UsageError for a config that cannot run, Error for everything that stops a run.
int train(run::RunConfig& config, const dist::Environment& environment, const TrainOptions& options);

// `train --dry-run`: resolves everything, checks data, batch split, shapes and memory for `world` ranks in this
// process. `resumed`: the run is there already. Returns the report's text. Errors: as train.
std::string dry_run(run::RunConfig& config, int world, bool resumed = false);

// Where a resumed run's config differs from its own in keys that may not. Errors: UsageError with the differences.
void check_resumable(const run::RunConfig& now, const run::RunConfig& before, const std::vector<std::string>& allow);

}  // namespace gigacat::train
