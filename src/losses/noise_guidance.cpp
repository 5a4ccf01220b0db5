#include "gigacat/losses/noise_guidance.h"

#include <ATen/Functions.h>

#include <cmath>

namespace gigacat::losses {

NoiseLevels noise_levels(int64_t stages, double min_information) {
  constexpr double kFloor = 0.01;  // even the last stage is noised a little
  NoiseLevels out;
  for (int64_t k = 0; k < stages; ++k) {
    const double place = stages == 1 ? 1 : static_cast<double>(k) / static_cast<double>(stages - 1);
    out.level.push_back(1 - std::pow(min_information, 1 - place) + kFloor);
  }
  for (int64_t k = 0; k < stages; ++k) {
    const double t = out.level[k], finer = k + 1 < stages ? out.level[k + 1] : 0;
    const double r = (1 - t) / (1 - finer);
    out.ratio.push_back(r);
    out.fresh.push_back(std::sqrt(t * t - finer * finer * r * r));
  }
  return out;
}

at::Tensor perturb(const at::Tensor& images, const at::Tensor& eps, const NoiseLevels& levels) {
  std::vector<at::Tensor> out(images.size(0));
  at::Tensor noise;
  for (int64_t k = images.size(0) - 1; k >= 0; --k) {
    const at::Tensor fresh = levels.fresh[k] * eps[k];
    noise = noise.defined() ? levels.ratio[k] * noise + fresh : fresh;
    out[k] = (1 - levels.level[k]) * images[k] + noise;
  }
  return at::stack(out);
}

}  // namespace gigacat::losses
