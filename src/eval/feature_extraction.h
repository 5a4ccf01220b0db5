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
  int64_t most_rows = INT64_MAX;  // rows of the first images only
  bool texts = false;             // cosine of the image's and its caption's embedding
  std::vector<int64_t> pieces;    // ends of the inception score's pieces; empty: none
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
  std::string error;  // why the rest is missing; "" otherwise. Equal on all ranks once merged
};

struct ExtractedFeatures {
  std::map<FeatureName, CollectedFeature> features;
  int64_t images = 0;      // that could be read
  std::string unreadable;  // how many others there were, and the first; "" for none. Equal on all ranks
  int64_t duplicates = 0;  // images equal to an earlier one
  int64_t least_height = 0, least_width = 0, most_height = 0, most_width = 0;
};

struct ExtractionOptions {
  std::string title;  // of the progress line
  int64_t count = 0;  // images, from the first
  int64_t batch = 16;
  int64_t threads = 1;
  std::string prompt_prefix;       // before each text
  double max_bad_fraction = 0.01;  // images that may be unreadable
};

// Ranks share the images in consecutive runs of whole batches; all return the merged result. A feature that cannot be
// computed (the network cannot use an image, values are not finite, a caption is missing) has `error` and does not cost
// the others. Images that cannot be read are left out, counted and named in the log. A collective. Errors, on all
// ranks: Error naming the first of them when they are more than max_bad_fraction.
ExtractedFeatures extract_features(const ImageSet& images, const FeatureRequests& requests, FeatureNetworks& networks,
                                   const ExtractionOptions& options, dist::Group& group);

// The share of a rank: images [first, last) of `count`.
std::pair<int64_t, int64_t> share_of(int64_t count, int64_t batch, int rank, int world);

// The first rank's text that is not empty, or "". A collective.
std::string first_error(const std::string& own, dist::Group& group);

// "1 of 200 images of DATA cannot be read, the first: REASON", of all ranks together; "" when `bad` is 0 on all. A
// collective. Errors, on all ranks: Error when they are more than `most` of `count`.
std::string unreadable_text(int64_t bad, const std::string& first_reason, int64_t count, const std::string& what,
                            double most, dist::Group& group);

// The caption of an image without white space around it. Errors: Error when it has none.
std::string caption_of(const ImageSet& images, int64_t index);

// Rows of all ranks in rank order, [N, D]; each may have another number of rows, or none (undefined).
at::Tensor gather_rows(const at::Tensor& rows, int64_t width, at::ScalarType type, dist::Group& group);

}  // namespace gigacat::eval
