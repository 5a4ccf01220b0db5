// The training loop. It knows recipes by their interface alone.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/run/config.h"

namespace gigacat::train {

// Exit codes of a run that ended early on request, with a checkpoint written.
inline constexpr int kExitInterrupted = 130;  // SIGINT
inline constexpr int kExitTerminated = 143;   // SIGTERM
inline constexpr int kExitTimeLimit = 85;     // SIGUSR1 (SLURM's time limit): start again to go on

struct TrainOptions {
  std::filesystem::path resume;    // a run folder; empty: a new run
  std::vector<std::string> allow;  // keys that may differ from the run's own config when resuming
  std::string command;             // for run.json
};

// Trains until config.train.steps. Returns 0 or one of the codes above.
// Errors: UsageError for a config that cannot run, Error for everything that stops a run.
int train(run::RunConfig& config, const dist::Environment& environment, const TrainOptions& options);

// `train --dry-run`: resolves everything, checks data, batch split, shapes and memory for `world` ranks in this
// process. Returns the report's text. Errors: as train.
std::string dry_run(run::RunConfig& config, int world);

// Where a resumed run's config differs from its own in keys that may not. Errors: UsageError with the differences.
void check_resumable(const run::RunConfig& now, const run::RunConfig& before, const std::vector<std::string>& allow);

}  // namespace gigacat::train
