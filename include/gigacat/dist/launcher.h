// `--ranks N`: N local processes of this program.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace gigacat::dist {

// Exit codes of a rank that has ended early on request, with its work saved. No failure: nothing is started again.
inline constexpr int kExitInterrupted = 130;  // SIGINT
inline constexpr int kExitTerminated = 143;   // SIGTERM
inline constexpr int kExitTimeLimit = 85;     // SIGUSR1 (SLURM's time limit): start again to go on

struct LaunchOptions {
  int ranks = 1;
  int master_port = 0;                  // 0: a free one
  double grace_seconds = 10;            // between SIGTERM and SIGKILL for the others when one has died
  int max_restarts = 0;                 // how often all ranks are started again after one has failed
  std::function<int(int)> ranks_after;  // number of ranks of a restart, from that before it; empty: the same
  bool plain_output = false;            // the first rank's standard output, the results, has no prefix
};

// Starts this executable N times by exec (never fork alone: OpenMP hangs in a forked child) with `arguments`,
// torchrun's variables and, unless it is set, an OMP_NUM_THREADS of cores / ranks. Forwards SIGINT, SIGTERM and
// SIGUSR1, prefixes each line of the children with "[rank] ", and when one dies ends the others within seconds; the
// last error line of the one that died is printed first. After a forwarded signal the children are left to end by
// themselves; when the first has, the others get grace_seconds. Returns the exit code of the first that failed (128 +
// signal when one killed it), or 0. A failure other than a usage error or an internal check (exit code 2 or 3: it would
// come again) starts all ranks anew, up to max_restarts times, with TORCHELASTIC_RESTART_COUNT set, as torchrun's agent
// does. Errors: UsageError for a number of ranks out of range; Error when a process cannot be started.
int launch_local(const std::vector<std::string>& arguments, LaunchOptions options);

// In a child of launch_local: SIGTERM for this process when its launcher ends without it, even by SIGKILL. Elsewhere
// nothing.
void end_with_launcher();

}  // namespace gigacat::dist
