// Where a run lives, and where it goes on.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gigacat/run/checkpoint.h"
#include "gigacat/run/config.h"
#include "gigacat/run/run_folder.h"
#include "gigacat/train/trainer.h"

namespace gigacat::train {

// Rank 0's hold on the run.
struct RunPlace {
  run::RunFolder folder;
  std::unique_ptr<run::RunLock> lock;
  std::optional<run::Checkpoint> checkpoint;  // that the run goes on from
  bool resumed = false;                  // the folder was there before
};

// A new folder, the run that options.resume names, or after a restart by the launcher the newest run of this config.
// A new folder then holds the config; a resumed one keeps its own until its weights are loaded. Errors: UsageError when
// the run's config or data (`data_identity`) may not be gone on with; Error.
RunPlace open_run(const run::RunConfig& config, const dist::Environment& environment, const TrainOptions& options,
                  const std::function<std::string()>& data_identity);

}  // namespace gigacat::train
