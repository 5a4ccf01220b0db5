// Metrics as functions of feature matrices. Letters: N real rows, M generated rows, D features, k neighbours.
// All compute in double, in blocks of rows on the device that the features are on.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "gigacat/dist/group.h"

namespace gigacat::eval {

// A value averaged over parts: subsets, splits or pairs.
struct Score {
  double mean = 0, spread = 0;  // spread: population standard deviation
  std::vector<double> each;     // the parts
};

// Mean and spread of `each`. Errors: InternalError when it is empty.
Score score_of(std::vector<double> each);

// Squared maximum mean discrepancy of x [m, D] and y [m, D] with the kernel (x.y / D + 1)^3, with or without the
// diagonal of the kernel matrices. Source: torch-fidelity metric_kid.
double polynomial_mmd(const at::Tensor& x, const at::Tensor& y, bool unbiased);

// How many subsets of how many images are drawn, and the seed of the draws.
struct KidOptions {
  int64_t subsets = 100, subset_size = 1000;
  uint32_t seed = 2020;
};
// Kernel distance over random subsets of real [N, D] and fake [M, D]: the rows that torch-fidelity draws with this
// seed. Errors: Error when a side has fewer rows than subset_size, or that is below 2.
Score kernel_distance(const at::Tensor& real, const at::Tensor& fake, const KidOptions& options);
// The rows of each subset, [subsets, subset_size] int64, of real and of fake, as numpy.random.RandomState(seed).choice
// draws them without replacement. Errors: as kernel_distance.
std::pair<at::Tensor, at::Tensor> kernel_distance_rows(int64_t real, int64_t fake, const KidOptions& options);

// Ends of `pieces` equal runs of images, i * total / pieces; and of runs of `length` images with a shorter last one (as
// guided-diffusion: 5,000).
std::vector<int64_t> equal_pieces(int64_t total, int64_t pieces);
std::vector<int64_t> pieces_of(int64_t total, int64_t length);

// Inception score of one stream of logits: exp(mean KL(p(y|x) || p(y))) of consecutive pieces. Memory does not depend
// on the number of images.
class InceptionScore {
 public:
  // `ends`: of each piece, ascending; the last is the number of images. `classes`: of the logits.
  InceptionScore(std::vector<int64_t> ends, int64_t classes);
  // logits [B, classes] of the images first, first + 1, ... in any order. Errors: InternalError past the end.
  void add(const at::Tensor& logits, int64_t first);
  // Sums over all ranks. A collective. Errors: as Group.
  void merge(dist::Group& group);
  // Pieces that have seen no image are left out. Errors: InternalError when none has.
  Score score() const;

 private:
  std::vector<int64_t> ends_;
  int64_t classes_;
  at::Tensor sums_;  // [pieces, classes + 2] double: of p, of sum p log p, and the count
};

// Squared distance of each row of x [N, D] to its k-th nearest other row: [N]. Errors: Error when N <= k.
at::Tensor squared_radii(const at::Tensor& x, int64_t k);

struct PrecisionRecall {
  double precision = 0;  // share of fake rows within the ball of any real row
  double recall = 0;     // share of real rows within the ball of any fake row
};
// Balls reach to the k-th neighbour, their edge counts. Errors: as squared_radii. Source: guided-diffusion
// ManifoldEstimator.
PrecisionRecall precision_recall(const at::Tensor& real, const at::Tensor& fake, int64_t k);

struct DensityCoverage {
  double precision = 0, recall = 0;  // as above, the edge left out
  double density = 0;                // real balls around a fake row / k, averaged over fake rows
  double coverage = 0;               // share of real rows with a fake row in their ball
};
// real [N, D], fake [M, D]. Errors: as squared_radii. Source: prdc 0.2.
DensityCoverage density_coverage(const at::Tensor& real, const at::Tensor& fake, int64_t k);

// Discrepancy of CLIP embeddings real [N, D] and fake [M, D], normalised here: biased, Gaussian kernel of sigma 10,
// times 1000. Source: cmmd.
double cmmd(const at::Tensor& real, const at::Tensor& fake);

// Sliced Wasserstein distance of two sets of points [R, D]: mean absolute difference of their sorted projections on 512
// random directions. Errors: InternalError for other shapes. Source: Progressive GAN's metrics.
double sliced_wasserstein(const at::Tensor& x, const at::Tensor& y);

// Cosines of image [B, D] and text [B, D] embeddings: [B].
at::Tensor clip_scores(const at::Tensor& image, const at::Tensor& text);

// Bytes of float32 features [rows, width] that a metric keeps, and of what computing their distances needs on top.
double kept_bytes(int64_t rows, int64_t width);
double distance_bytes(int64_t real, int64_t fake, int64_t width);

}  // namespace gigacat::eval
