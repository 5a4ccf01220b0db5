// What each metric needs of the two sides, and how it is computed from that.
#pragma once

#include <string>
#include <vector>

#include "eval/pass.h"
#include "gigacat/eval/evaluate.h"

namespace gigacat::eval {

// What a pass, or a file of statistics, gave of one side.
struct SideFeatures {
  std::map<FeatureName, Gaussian> gaussians;
  std::map<FeatureName, Collected> collected;
  int64_t images = 0;
};

struct Metric {
  std::string name, help;
  FeatureName feature;                    // {"", ""}: of pairs of images
  bool moments = false, rows = false;     // of both sides
  bool inception = false, texts = false;  // of the fake side alone
  int64_t usual = 0;                      // fake images that papers take; 0: any number
  std::string stylegan;                   // its name there with N for the number in thousands: "fidNk_full"
  bool larger_is_better = false;
  Values (*compute)(const SideFeatures& real, const SideFeatures& fake, const FeatureName& feature) = nullptr;
  bool trajectory = false;  // of the generator itself
  bool is_of_pairs() const { return feature.network.empty() && !trajectory; }
  bool needs_real() const { return !inception && !texts && !trajectory; }
};

const std::vector<Metric>& metric_table();
// Errors: UsageError with the nearest name.
const Metric& find_metric(const std::string& name);

}  // namespace gigacat::eval
