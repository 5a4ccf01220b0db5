// CAT: the consistency loss between stages, and the three diagnostics of a generation trajectory.
// Source: "Cross-scale Aligned Supervision for Training GANs" (arXiv 2605.26449), figure 4 for the diagnostics.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace gigacat::losses {

// mean((x_k - x_K)^2) over every element, for k < K: images [K, B, C, H, W] -> [K - 1]. The anchor x_K is detached or
// not.
at::Tensor consistency_terms(const at::Tensor& images, bool detached);

struct Trajectory {
  at::Tensor discrepancy;  // [K - 1, B]: |x~_k - x_K| / |x_K|
  at::Tensor rewrite;      // [K - 1, B]: |x~_{k+1} - x~_k| / |x_K|
  at::Tensor direction;    // [K - 1, B]: cos(x~_{k+1} - x~_k, x_K - x~_k)
};

// supervised: stage k's image as the discriminator sees it [B, C, h_k, w_k], brought back to x_K's size by `back`
// ("bilinear", align_corners false, or "nearest"). last: x_K [B, C, H, W]. No gradient.
Trajectory trajectory(const std::vector<at::Tensor>& supervised, const at::Tensor& last, const std::string& back);

// "discrepancy", "rewrite" and "direction" of a batch, means over stages and samples; none where there is one stage.
std::vector<std::pair<std::string, double>> trajectory_metrics(const std::vector<at::Tensor>& supervised,
                                                               const at::Tensor& last, const std::string& back);

// The image brought back: [B, C, h, w] -> [B, C, H, W].
at::Tensor bring_back(const at::Tensor& image, int64_t height, int64_t width, const std::string& back);

}  // namespace gigacat::losses
