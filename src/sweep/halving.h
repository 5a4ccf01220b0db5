// Successive halving: which runs stop after a round.
#pragma once

#include <vector>

#include "gigacat/sweep/sweep.h"

namespace gigacat::sweep {

// Runs of the labels that are not among the best 1 / factor (rounded up) of those still training at step `steps`, by
// the mean of sweep.halving.metric over seeds; labels without a value come last. Runs that are done, failed or pruned
// are left as they are. Errors: UsageError when no run has the metric.
std::vector<const Run*> eliminated_runs(const Sweep& sweep, int64_t steps);

}  // namespace gigacat::sweep
