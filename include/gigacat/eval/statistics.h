// Mean and covariance of features, and the distance between two sets of them. Letters: N rows, D features.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"

namespace gigacat::eval {

// A set of features as a normal distribution, double, on the CPU.
struct Gaussian {
  at::Tensor mean;        // [D]
  at::Tensor covariance;  // [D, D], divided by N - 1
};

// Streams features; memory does not depend on N. Arithmetic is double, centred block by block, so that large means cost
// no digits. Source: Chan, Golub, LeVeque, "Updating formulae" (1979).
class Moments {
 public:
  // features [B, D] of any floating dtype and device; D must not change. Errors: InternalError for another shape.
  void add(const at::Tensor& features);
  // Sums over all ranks; all hold the same afterwards. `width`: D, needed where a rank has added nothing. A collective.
  // Errors: as Group.
  void merge(dist::Group& group, int64_t width);
  int64_t count() const { return count_; }
  // Errors: Error when fewer than two rows were added.
  Gaussian gaussian() const;

 private:
  void fold() const;
  void combine(int64_t count, const at::Tensor& mean, const at::Tensor& scatter) const;

  // Rows that wait for a product worth its call. Folding changes nothing that can be seen.
  mutable std::vector<at::Tensor> waiting_;
  mutable int64_t waiting_rows_ = 0, folded_ = 0;
  int64_t count_ = 0, width_ = 0;
  mutable at::Tensor mean_, scatter_;  // [D], [D, D]: sum of (x - mean)(x - mean)^T
};

// Frechet distance |mean difference|^2 + tr(A + B - 2 (A B)^(1/2)). The trace of the root comes from the eigenvalues of
// a symmetric matrix, negative ones taken as 0: singular covariances (N <= D) are no special case. Errors: Error when
// widths differ or a value is not finite. Source: pytorch-fid calculate_frechet_distance.
double frechet_distance(const Gaussian& a, const Gaussian& b);

// Statistics of a set of images as stored in a file.
struct StatisticsFile {
  std::map<std::string, Gaussian> gaussians;       // by feature: "pool", "spatial", ...
  std::map<std::string, std::string> description;  // protocol, count, weights, identity, ...; empty in foreign files
};

// An .npz that pytorch-fid, guided-diffusion and clean-fid read: mu and sigma ("pool"), mu_s and sigma_s ("spatial"),
// mu_NAME and sigma_NAME for the others, and the description as gigacat.json. Errors: Error for I/O.
void write_statistics(const std::filesystem::path& path, const StatisticsFile& file);
// Errors: Error when the file is damaged, a shape does not fit, a value is not finite or a sigma is no covariance (not
// symmetric, negative eigenvalues beyond rounding); UsageError when it holds no mu and sigma.
StatisticsFile read_statistics(const std::filesystem::path& path);
// Whether an .npz holds mu and sigma (and so is no set of images). Errors: Error when it is no .npz.
bool holds_statistics(const std::filesystem::path& path);

}  // namespace gigacat::eval
