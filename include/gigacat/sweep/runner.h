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
  std::string status;           // "waiting", "running", "stopped", "pruned" (by halving), "done", "failed"
  std::string error;            // of a failed one
  double seconds = 0;           // of all its processes
  int64_t step = 0, steps = 0;  // done, wanted
  std::filesystem::path run;    // train's run folder; empty when there is none yet
};

struct RunnerOptions {
  int jobs = 1, ranks = 1;        // runs at once, processes of a run
  std::vector<std::string> gpus;  // devices handed out, `ranks` to each job; empty: all jobs see what is there
  bool retry = false;             // runs that failed, once more
  bool all = false;               // runs that halving has pruned too, to their end
  std::string only;               // id of the one run that is trained; empty: all
};

// PLAN.folder/runs/ID, of one run.
std::filesystem::path folder_of(const Plan& plan, const Run& run);

// Reads the run's folder. Errors: Error when it cannot be read.
RunState state_of(const Plan& plan, const Run& run);

// Starts what waits, goes on with what was stopped, as child processes of this program; what is done stays, and a
// failed run keeps its error and stops no other. With plan.halving in rounds, between which losing runs are pruned.
// Returns 0 when all are done or pruned, 1 when some failed, 128 + signal when a signal ended it. Errors: UsageError
// when another process runs the sweep (with `only`: that run), there is no such run, there are fewer GPUs than jobs
// times ranks, or the learning rate of a run depends on its length, which halving changes.
int run_sweep(const Plan& plan, const RunnerOptions& options);

// Writes PLAN.folder/slurm.sh, a job array of one task for each run that is not done, at most options.jobs at once,
// and hands it to sbatch. `command`: this program and the words that name the sweep, as the tasks call it; `extra`:
// lines of #SBATCH options. Returns what sbatch says. Errors: Error when there is no sbatch or it fails; UsageError
// with plan.halving.
std::string submit_to_slurm(const Plan& plan, const RunnerOptions& options, const std::vector<std::string>& command,
                            const std::vector<std::string>& extra);

}  // namespace gigacat::sweep
