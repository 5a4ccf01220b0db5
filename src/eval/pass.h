// One pass over a set of images: every network that is wanted, every sum that is wanted of its features.
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

// A feature of a network.
struct FeatureName {
  std::string network, feature;
  auto operator<=>(const FeatureName&) const = default;
};

// What is made of a feature.
struct Wanted {
  bool moments = false, rows = false;
  bool texts = false;           // cosine of the embedding and that of the image's text
  std::vector<int64_t> pieces;  // ends of the inception score's pieces; empty: not wanted
};
using Wishes = std::map<FeatureName, Wanted>;

struct Collected {
  Moments moments;
  std::vector<at::Tensor> waiting;          // [B, D] each, of this rank
  at::Tensor rows;                          // [N, D] of all ranks in the set's order, once merged
  std::vector<at::Tensor> waiting_cosines;  // [B] each, of this rank
  at::Tensor cosines;                       // [N], as rows
  std::optional<InceptionScore> inception;
  int64_t width = 0;
};

struct PassResult {
  std::map<FeatureName, Collected> features;
  int64_t images = 0;
  int64_t duplicates = 0;  // images that are equal to an earlier one
  int64_t least_height = 0, least_width = 0, most_height = 0, most_width = 0;
};

struct PassOptions {
  std::string title;  // of the progress line
  int64_t count = 0;  // images: the first ones of the set
  int64_t batch = 16;
  int64_t threads = 1;
  std::string prompt_prefix;  // before each text
};

// Ranks share the images in consecutive runs of whole batches; all have the result of all. A collective. Errors: Error
// naming the image for a broken one, or for features that are not finite.
PassResult run_pass(const ImageSet& images, const Wishes& wishes, NetworkShelf& shelf, const PassOptions& options,
                    dist::Group& group);

// The share of a rank: images [first, last) of `count`.
std::pair<int64_t, int64_t> share_of(int64_t count, int64_t batch, int rank, int world);

// Rows of all ranks in rank order, [N, D]; their numbers may differ. `rows` may be undefined where a rank has none.
at::Tensor gather_rows(const at::Tensor& rows, int64_t width, at::ScalarType type, dist::Group& group);

}  // namespace gigacat::eval
