// Where a run lives, and where it goes on.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gigacat/train/checkpoint.h"
#include "gigacat/train/config.h"
#include "gigacat/train/run_folder.h"
#include "gigacat/train/trainer.h"

namespace gigacat::train {

// Rank 0's hold on the run.
struct RunPlace {
  RunFolder folder;
  std::unique_ptr<RunLock> lock;
  std::optional<Checkpoint> checkpoint;  // that the run goes on from
  bool resumed = false;                  // the folder was there before
};

// A new folder, the run that options.resume names, or after a restart by the launcher the newest run of this config.
// A new folder then holds the config; a resumed one keeps its own until its weights are loaded. Errors: UsageError when
// the run's config or data (`data_identity`) may not be gone on with; Error.
RunPlace open_run(const RunConfig& config, const dist::Environment& environment, const TrainOptions& options,
                  const std::function<std::string()>& data_identity);

}  // namespace gigacat::train
