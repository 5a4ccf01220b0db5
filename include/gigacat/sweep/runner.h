// Running a sweep, and where its runs stand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/sweep/plan.h"

namespace gigacat::sweep {

// What a run's folder tells.
struct RunState {
  std::string status;           // "waiting", "running", "stopped", "done", "failed"
  std::string error;            // of a failed one
  double seconds = 0;           // of all its processes
  int64_t step = 0, steps = 0;  // done, wanted
  std::filesystem::path run;    // train's run folder; empty when there is none yet
};

struct RunnerOptions {
  int jobs = 1, ranks = 1;        // runs at once, processes of a run
  std::vector<std::string> gpus;  // devices handed out, `ranks` to each job; empty: all jobs see what is there
  bool retry = false;             // runs that failed, once more
};

// PLAN.folder/runs/ID, of one run.
std::filesystem::path folder_of(const Plan& plan, const Run& run);

// Reads the run's folder. Errors: Error when it cannot be read.
RunState state_of(const Plan& plan, const Run& run);

// Starts what waits, goes on with what was stopped, as child processes of this program; what is done stays, and a
// failed run keeps its error and stops no other. Returns 0 when all are done, 1 when some failed, 128 + signal when a
// signal ended it. Errors: UsageError when another process runs the sweep, or there are fewer GPUs than jobs times
// ranks.
int run_sweep(const Plan& plan, const RunnerOptions& options);

}  // namespace gigacat::sweep
