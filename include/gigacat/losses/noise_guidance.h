// Multi-level noise-perturbed guidance (MNG): stage images are noised before the discriminator, coarse ones most.
// Source: GAT (arXiv 2509.24935) section 3.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace gigacat::losses {

struct NoiseLevels {
  std::vector<double> level;  // t_k
  std::vector<double> ratio;  // r_k = (1 - t_k) / (1 - t_{k+1}); the last stage's is 1 - t
  std::vector<double> fresh;  // factor of stage k's own noise, sqrt(t_k^2 - t_{k+1}^2 r_k^2)
};

// t_k = 1 - min_information^(1 - k / (K - 1)) + 0.01, k = 0 first. One stage: t = 0.01.
NoiseLevels noise_levels(int64_t stages, double min_information);

// x~_k = (1 - t_k) x_k + n_k, the noise cumulative from the last stage to the first: n_k = r_k n_{k+1} + fresh_k eps_k.
// images, eps [K, B, C, H, W] -> the same shape.
at::Tensor perturb(const at::Tensor& images, const at::Tensor& eps, const NoiseLevels& levels);

}  // namespace gigacat::losses
