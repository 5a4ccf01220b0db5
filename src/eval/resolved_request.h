// A request checked against its two sides.
#pragma once

#include <string>
#include <vector>

#include "eval/feature_extraction.h"
#include "eval/metric_table.h"
#include "gigacat/eval/evaluate.h"

namespace gigacat::eval {

using Metrics = std::vector<const Metric*>;

struct ResolvedRequest {
  Metrics features, pairs, trajectory;     // without repetitions, in the request's order
  Request request;                         // threads filled in
  int64_t real_count = 0, fake_count = 0;  // images; 0: statistics or nothing
};

// Errors: UsageError for an unknown metric, a side that is missing or does not suit a metric, too few images.
ResolvedRequest resolve(const Request& request, const Side& real, const Side& fake);

// The features needed of one side. `count`: its images.
FeatureRequests feature_requests(const Metrics& metrics, bool fake, int64_t count, const std::string& protocol);

// Name of a feature in statistics files: Inception's own feature name, otherwise the network.
std::string key_of(const FeatureName& name);

// Logs how much memory the metrics will need.
void announce_memory(const Metrics& metrics, int64_t real, int64_t fake);

}  // namespace gigacat::eval
