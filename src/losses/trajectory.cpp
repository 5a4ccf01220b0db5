#include "gigacat/losses/trajectory.h"

#include <ATen/Functions.h>

namespace gigacat::losses {
namespace {

// Norm over (C, H, W): [B, C, H, W] -> [B].
at::Tensor length(const at::Tensor& x) { return x.flatten(1).norm(2, 1); }

}  // namespace

at::Tensor consistency_terms(const at::Tensor& images, bool detached) {
  const int64_t stages = images.size(0);
  const at::Tensor anchor = detached ? images[stages - 1].detach() : images[stages - 1];
  return (images.narrow(0, 0, stages - 1) - anchor).square().mean({1, 2, 3, 4});
}

at::Tensor bring_back(const at::Tensor& image, int64_t height, int64_t width, const std::string& back) {
  if (image.size(-2) == height && image.size(-1) == width) return image;
  if (back == "nearest") return at::upsample_nearest2d(image, {height, width});
  return at::upsample_bilinear2d(image, {height, width}, /*align_corners=*/false);
}

Trajectory trajectory(const std::vector<at::Tensor>& supervised, const at::Tensor& last, const std::string& back) {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> x;
  for (const at::Tensor& image : supervised) x.push_back(bring_back(image, last.size(-2), last.size(-1), back));
  const at::Tensor scale = length(last);
  std::vector<at::Tensor> discrepancy, rewrite, direction;
  for (size_t k = 0; k + 1 < x.size(); ++k) {
    const at::Tensor step = x[k + 1] - x[k], rest = last - x[k];
    discrepancy.push_back(length(rest) / scale);
    rewrite.push_back(length(step) / scale);
    direction.push_back(at::cosine_similarity(step.flatten(1), rest.flatten(1), 1));
  }
  return {at::stack(discrepancy), at::stack(rewrite), at::stack(direction)};
}

std::vector<std::pair<std::string, double>> trajectory_metrics(const std::vector<at::Tensor>& supervised,
                                                               const at::Tensor& last, const std::string& back) {
  if (supervised.size() < 2) return {};
  const Trajectory t = trajectory(supervised, last, back);
  return {{"discrepancy", t.discrepancy.mean().item<double>()},
          {"rewrite", t.rewrite.mean().item<double>()},
          {"direction", t.direction.mean().item<double>()}};
}

}  // namespace gigacat::losses
