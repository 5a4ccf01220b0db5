// The folder of a run, and the checkpoint that it goes on from.
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
struct RunDirectory {
  run::RunFolder folder;
  std::unique_ptr<run::RunLock> lock;
  std::optional<run::Checkpoint> checkpoint;  // that the run goes on from
  bool resumed = false;                       // the folder was there before
};

// Rank 0's. In this order: the run that this launch was in before a failure (`config` is equal, and one of
// group.agents() is in its run.json; when a rank of the failed attempt still holds it, that is waited for); what
// options.resume names (a run goes on; from a checkpoint a new run begins at its step); a new run. A new folder then
// holds the config; a resumed one keeps its own until its weights are loaded. run.json gets this start and what changes
// with it. `data_identity` may take long. Errors: UsageError when the run's config or data may not be gone on with;
// Error when all of its checkpoints are damaged, among others.
RunDirectory open_run(const run::RunConfig& config, const dist::Group& group, const TrainOptions& options,
                      const std::function<std::string()>& data_identity);

}  // namespace gigacat::train
