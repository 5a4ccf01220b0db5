// Names and directions of the metrics in a run's metrics.jsonl.
#pragma once

#include <string>
#include <vector>

#include "gigacat/sweep/report.h"

namespace gigacat::sweep {

enum class Better { lower, higher, unknown };
// The sweep's own word (higher_is_better) first, then what is known of the metric; losses of GANs have no direction.
Better better_of(const Sweep& sweep, const std::string& metric);

// The sweep's metrics; where it names none: what evaluations measured, the losses and the trajectory diagnostics, as
// far as the runs have written them.
std::vector<std::string> shown_metrics(const Sweep& sweep, const std::vector<LabelResult>& results);

// Errors: UsageError with the nearest name for a metric that looks like a misspelt one. The terms of losses, D/NAME and
// G/NAME, are known only once a run has written them.
void check_names(const Sweep& sweep, const std::string& file);
// Errors: UsageError with the nearest name when all runs have ended and none has written a metric.
void check_written(const Sweep& sweep, const std::vector<LabelResult>& results);

}  // namespace gigacat::sweep
