// Requests from outside to stop: SIGINT, SIGTERM, SIGUSR1 (SLURM's time limit).
#pragma once

#include <csignal>

#include "gigacat/dist/group.h"

namespace gigacat::train {

// Catches the signals while it lives; one at a time in a process. A second SIGINT more than two seconds after the first
// ends the process at once.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Exit code of the request that reached any rank, the same on all; 0: none. A collective. Errors: as Group.
  int agreed(dist::Group& group) const;
  // Since this rank got its first request; 0: none.
  double seconds_since_request() const;

 private:
  struct sigaction before_[3];
};

}  // namespace gigacat::train
