// A request checked against its two sides.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "eval/feature_extraction.h"
#include "eval/metric_table.h"
#include "gigacat/eval/evaluate.h"

namespace gigacat::eval {

using Metrics = std::vector<const Metric*>;

// Why a metric is not computed.
struct Failure {
  std::string why;
  bool is_of_request = false;  // the sides do not suit the metric, whatever is in their images
};

struct ResolvedRequest {
  Metrics features, pairs, trajectory;    // without repetitions, in the request's order
  Request request;                        // threads filled in
  std::map<std::string, Failure> failed;  // metrics that these sides cannot have
  // Takes a metric out of those to compute.
  void refuse(const Metric& metric, Failure failure);
  int64_t kid_subset_wanted = 0;  // images in each subset of kid
  int64_t kid_subset = 0;         // the same, lowered to what the sides have
  int64_t pyramid_size = 0;       // of swd: side of the images, patches of each level, images
  int64_t pyramid_patches = 0, pyramid_images = 0;
  int64_t real_count = 0, fake_count = 0;  // images; 0: statistics or nothing
};

// Metrics that do not suit the sides stand in `failed`. Errors: UsageError for an unknown metric, a side that is
// missing, too few images.
ResolvedRequest resolve(const Request& request, const Side& real, const Side& fake);

// The features needed of one side.
FeatureRequests feature_requests(const ResolvedRequest& resolved, bool fake, const std::string& protocol);

// Name of a feature in statistics files: Inception's own feature name, otherwise the network.
std::string key_of(const FeatureName& name);

// Logs how much memory the metrics will need.
void announce_memory(const ResolvedRequest& resolved);

}  // namespace gigacat::eval
