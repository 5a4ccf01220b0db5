// Metrics of pairs of images with one name.
#pragma once

#include <string>
#include <vector>

#include "eval/metric_table.h"
#include "gigacat/dist/group.h"
#include "gigacat/eval/images.h"

namespace gigacat::eval {

struct PairScores {
  std::vector<Values> values;  // of each metric: mean and deviation
  int64_t pairs = 0;
};

// `metrics`: psnr, ssim, lpips. Images are matched by their path without the ending. Ranks share the pairs. A
// collective. Errors: Error when an image has no partner or a size differs, naming it.
PairScores compare_pairs(const std::vector<const Metric*>& metrics, const ImageSet& real, const ImageSet& fake,
                         int64_t count, int64_t threads, FeatureNetworks& networks, dist::Group& group);

}  // namespace gigacat::eval
