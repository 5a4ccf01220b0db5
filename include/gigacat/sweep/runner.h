// Runs a sweep and reads the state of its runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/sweep/sweep.h"

namespace gigacat::sweep {

// State of a run, read from its folder.
struct RunState {
  std::string status;           // "waiting", "running", "stopped", "pruned" (by halving), "done", "failed"
  std::string error;            // of a failed one
  double seconds = 0;           // of all its processes
  int64_t step = 0, steps = 0;  // done, planned
  std::filesystem::path run;    // train's run folder; empty when there is none yet
};

struct RunnerOptions {
  int jobs = 1, ranks = 1;        // runs at once, processes of a run
  std::vector<std::string> gpus;  // `ranks` of them for each job; empty: every job sees all GPUs
  bool retry = false;             // run failed runs once more
  bool all = false;               // also train pruned runs to their end
  std::string only;               // id of the only run to train; empty: all
};

// PLAN.folder/runs/ID, of one run.
std::filesystem::path folder_of(const Sweep& sweep, const Run& run);

// Reads the run's folder. Errors: Error when it cannot be read.
RunState state_of(const Sweep& sweep, const Run& run);

// Starts waiting runs and resumes stopped ones, as child processes of this program. Finished runs are kept; a failed
// run keeps its error and does not stop the others. With sweep.halving in rounds, after each of which the worst are
// pruned. Returns 0 when all are done or pruned, 1 when some failed, 128 + signal when a signal ended it. Errors:
// UsageError when another process runs the sweep (with `only`: that run), there is no such run, there are fewer GPUs
// than jobs times ranks, or the learning rate of a run depends on its length, which halving changes.
int run_sweep(const Sweep& sweep, const RunnerOptions& options);

// Writes PLAN.folder/slurm.sh, a job array of one task for each run that is not done, at most options.jobs at once,
// and submits it with sbatch. `command`: this program and the arguments that name the sweep, for the tasks; `extra`:
// lines of #SBATCH options. Returns sbatch's output. Errors: Error when there is no sbatch or it fails; UsageError
// with sweep.halving.
std::string submit_to_slurm(const Sweep& sweep, const RunnerOptions& options, const std::vector<std::string>& command,
                            const std::vector<std::string>& extra);

}  // namespace gigacat::sweep
