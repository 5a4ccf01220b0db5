// The metrics: what each needs of the two sides and how it is computed.
#pragma once

#include <string>
#include <vector>

#include "eval/feature_extraction.h"
#include "gigacat/eval/evaluate.h"

namespace gigacat::eval {

// Features of one side, from images or from a statistics file.
struct SideFeatures {
  std::map<FeatureName, Gaussian> gaussians;
  std::map<FeatureName, CollectedFeature> collected;
  int64_t images = 0;
  std::string unreadable;  // as ExtractedFeatures::unreadable
  std::string error;       // why there are no features; "" otherwise
  // Errors: Error with the reason when the side or this feature failed.
  void check(const FeatureName& feature) const;
};

struct ResolvedRequest;

struct Metric {
  std::string name, help;
  FeatureName feature;                    // {"", ""}: of pairs of images
  bool moments = false, rows = false;     // of both sides
  bool inception = false, texts = false;  // of the fake side only
  int64_t usual = 0;                      // number of fake images in papers; 0: any
  std::string stylegan;                   // StyleGAN's name, before the thousands of images: "fid" of "fid50k_full"
  bool larger_is_better = false;
  Values (*compute)(const SideFeatures& real, const SideFeatures& fake, const FeatureName& feature,
                    const ResolvedRequest& resolved) = nullptr;
  bool trajectory = false;               // of the generator itself
  std::vector<std::string> values = {};  // names of its values; empty: its own name
  bool is_of_pairs() const { return feature.network.empty() && !trajectory; }
  bool needs_real() const { return !inception && !texts && !trajectory; }
};

const std::vector<Metric>& metric_table();
// Errors: UsageError with the nearest name.
const Metric& find_metric(const std::string& name);

}  // namespace gigacat::eval
