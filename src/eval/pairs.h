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
  int64_t pairs = 0;  // that were compared
};

struct PairOptions {
  int64_t count = 0;  // fake images, from the first
  int64_t threads = 1;
  double max_bad_fraction = 0.01;  // pairs that may be unreadable
};

// `metrics`: psnr, ssim, lpips; a score for each, in this order. Images are matched by their path without the ending;
// those without a partner are left out, counted and named in the notes and a warning; so are pairs that a metric cannot
// compare (of different sizes) or that cannot be read. Ranks share the pairs. A collective. Errors: Error when no image
// has a partner, two of a side have one name, or more than max_bad_fraction of the pairs cannot be read.
std::vector<PairScore> compare_pairs(const std::vector<const Metric*>& metrics, const ImageSet& real,
                                     const ImageSet& fake, const PairOptions& options, FeatureNetworks& networks,
                                     dist::Group& group);

}  // namespace gigacat::eval
