// Features of a set of images from several networks in one reading, as sums or rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/eval/images.h"
#include "gigacat/eval/metrics.h"
#include "gigacat/eval/network.h"
#include "gigacat/eval/statistics.h"

namespace gigacat::eval {

// A feature of one network.
struct FeatureName {
  std::string network, feature;
  auto operator<=>(const FeatureName&) const = default;
};

// What to compute from a feature.
struct FeatureRequest {
  bool moments = false, rows = false;
  bool texts = false;           // cosine of the image's and its caption's embedding
  std::vector<int64_t> pieces;  // ends of the inception score's pieces; empty: none
};
using FeatureRequests = std::map<FeatureName, FeatureRequest>;

struct CollectedFeature {
  Moments moments;
  std::vector<at::Tensor> waiting;          // [B, D] each, of this rank
  at::Tensor rows;                          // after merging: [N, D] of all ranks, in the set's order
  std::vector<at::Tensor> waiting_cosines;  // [B] each, of this rank
  at::Tensor cosines;                       // [N], as rows
  std::optional<InceptionScore> inception;
  int64_t width = 0;
};

struct ExtractedFeatures {
  std::map<FeatureName, CollectedFeature> features;
  int64_t images = 0;
  int64_t duplicates = 0;  // images equal to an earlier one
  int64_t least_height = 0, least_width = 0, most_height = 0, most_width = 0;
};

struct ExtractionOptions {
  std::string title;  // of the progress line
  int64_t count = 0;  // images, from the first
  int64_t batch = 16;
  int64_t threads = 1;
  std::string prompt_prefix;  // before each text
};

// Ranks share the images in consecutive runs of whole batches; all return the merged result. A collective. Errors:
// Error naming the image for a broken one, or for features that are not finite.
ExtractedFeatures extract_features(const ImageSet& images, const FeatureRequests& requests, FeatureNetworks& networks,
                                   const ExtractionOptions& options, dist::Group& group);

// The share of a rank: images [first, last) of `count`.
std::pair<int64_t, int64_t> share_of(int64_t count, int64_t batch, int rank, int world);

// Rows of all ranks in rank order, [N, D]; each may have another number of rows, or none (undefined).
at::Tensor gather_rows(const at::Tensor& rows, int64_t width, at::ScalarType type, dist::Group& group);

}  // namespace gigacat::eval
