// Who loses a round of successive halving.
#pragma once

#include <vector>

#include "gigacat/sweep/plan.h"

namespace gigacat::sweep {

// Runs of the labels that are not among the best 1 / factor (rounded up) of those still in the race at step `steps`, by
// the mean of plan.halving.metric over seeds. Labels without a figure lose. Runs that are done, failed or pruned are
// left as they are. Errors: UsageError when no run has the figure.
std::vector<const Run*> losers(const Plan& plan, int64_t steps);

}  // namespace gigacat::sweep
