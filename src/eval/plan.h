// What a request asks of each side.
#pragma once

#include <string>
#include <vector>

#include "eval/metric_table.h"
#include "eval/pass.h"
#include "gigacat/eval/evaluate.h"

namespace gigacat::eval {

using Metrics = std::vector<const Metric*>;

struct Plan {
  Metrics features, pairs, own;            // own: of the generator itself; without repetitions, in the request's order
  Request request;                         // with the number of threads filled in
  int64_t real_count = 0, fake_count = 0;  // images; 0: statistics or nothing
};

// Errors: UsageError for an unknown metric, a side that is missing or is not what a metric needs, too few images.
Plan make_plan(const Request& request, const Side& real, const Side& fake);

// What a pass over one side has to give. `count`: its images.
Wishes wishes_of(const Metrics& metrics, bool fake, int64_t count, const std::string& protocol);

// What a file of statistics calls a feature: that of Inception by its own name, others by their network.
std::string key_of(const FeatureName& name);

// Says what metrics that keep features will need, before they begin.
void announce_memory(const Metrics& metrics, int64_t real, int64_t fake);

}  // namespace gigacat::eval
