#include "gigacat/losses/alignment.h"

#include <ATen/Functions.h>

#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/losses/augment.h"

namespace gigacat::losses {

at::Tensor encoder_input(const at::Tensor& rgb, int64_t size) {
  const at::Tensor mean = at::tensor({0.485, 0.456, 0.406}, rgb.options().dtype(at::kFloat)).view({1, 3, 1, 1});
  const at::Tensor deviation = at::tensor({0.229, 0.224, 0.225}, rgb.options().dtype(at::kFloat)).view({1, 3, 1, 1});
  const at::Tensor normal = (rgb.to(at::kFloat) / 255 - mean) / deviation;
  return at::upsample_bicubic2d(normal, {size, size}, /*align_corners=*/false);
}

at::Tensor augment_encoder_input(const at::Tensor& input, const at::Tensor& translation, const at::Tensor& flip,
                                 int64_t latent_height, const std::string& mode) {
  const int64_t size = input.size(-2);
  at::Tensor shift;
  if (mode == "scaled")
    shift = at::round(translation.to(at::kDouble) * (static_cast<double>(size) / static_cast<double>(latent_height)));
  else
    shift = at::floor(translation.to(at::kDouble) * (static_cast<double>(latent_height) / static_cast<double>(size)));
  return flip_columns(translate(input, shift.to(at::kLong)), flip);
}

at::Tensor resize_patches(const at::Tensor& patches, int64_t rows, int64_t columns) {
  const int64_t side = std::llround(std::sqrt(static_cast<double>(patches.size(1))));
  GIGACAT_CHECK(side * side == patches.size(1), "features of ", patches.size(1), " patches are no square grid");
  if (side == rows && side == columns) return patches;
  const at::Tensor grid = patches.transpose(1, 2).unflatten(2, {side, side});  // [B, F, n, n]
  return at::upsample_bicubic2d(grid, {rows, columns}, /*align_corners=*/false).flatten(2).transpose(1, 2);
}

at::Tensor align_class(const at::Tensor& head, const at::Tensor& feature) {
  return 1 - at::cosine_similarity(head, feature.detach(), -1);
}

at::Tensor align_patches(const at::Tensor& head, const at::Tensor& feature) {
  return (1 - at::cosine_similarity(head, feature.detach(), -1)).mean(1);
}

}  // namespace gigacat::losses
