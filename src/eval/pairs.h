// Metrics of pairs of images with one name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "eval/metric_table.h"
#include "gigacat/dist/group.h"
#include "gigacat/eval/images.h"

namespace gigacat::eval {

// One metric over all pairs, its fields as those of Result.
struct PairScore {
  Values values;  // mean and deviation
  std::string error;
  std::map<std::string, std::string> notes;
};

struct PairScores {
  std::vector<PairScore> metrics;  // in the order of the request
  int64_t pairs = 0;
};

// `metrics`: psnr, ssim, lpips. Images are matched by their path without the ending; those without a partner are left
// out, counted and named in the notes and a warning. Ranks share the pairs. A collective. Errors: Error when no image
// has a partner, two have one name or one cannot be read.
PairScores compare_pairs(const std::vector<const Metric*>& metrics, const ImageSet& real, const ImageSet& fake,
                         int64_t count, int64_t threads, FeatureNetworks& networks, dist::Group& group);

}  // namespace gigacat::eval
