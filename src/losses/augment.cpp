#include "gigacat/losses/augment.h"

#include <ATen/Functions.h>

namespace gigacat::losses {
namespace {

// [B] as [B, 1, 1, 1].
at::Tensor per_sample(const at::Tensor& values) { return values.view({-1, 1, 1, 1}); }

}  // namespace

int64_t translation_range(int64_t size) { return static_cast<int64_t>(static_cast<double>(size) / 8 + 0.5); }
int64_t cutout_size(int64_t size) { return static_cast<int64_t>(static_cast<double>(size) / 2 + 0.5); }

ColourMeans colour_means(const at::Tensor& last_image) {
  return {last_image.mean(1, /*keepdim=*/true), last_image.mean({1, 2, 3}, /*keepdim=*/true)};
}

at::Tensor augment_colour(const at::Tensor& images, const AugmentDraw& draw, const ColourMeans& means) {
  const at::Tensor brighter = images + (per_sample(draw.brightness) - 0.5);
  const at::Tensor saturated = (brighter - means.channels) * (2 * per_sample(draw.saturation)) + means.channels;
  const at::Tensor contrasted = (saturated - means.image) * (per_sample(draw.contrast) + 0.5) + means.image;
  return at::where(per_sample(draw.colour) > 0.5, contrasted, images);
}

at::Tensor translate(const at::Tensor& images, const at::Tensor& translation) {
  const int64_t h = images.size(-2), w = images.size(-1);
  const at::Tensor padded = at::constant_pad_nd(images, {1, 1, 1, 1});  // a border of zeros to read from
  const auto places = [&](int64_t axis, int64_t size) {                 // [B, size], 0 and size + 1 are the border
    const at::Tensor from = at::arange(size, translation.options()) + translation.select(1, axis).unsqueeze(1) + 1;
    return from.clamp(0, size + 1);
  };
  at::Tensor rows = places(0, h).view({-1, 1, h, 1}), columns = places(1, w).view({-1, 1, 1, w});
  std::vector<int64_t> shape = images.sizes().vec();
  shape.back() = w + 2;
  const at::Tensor moved = padded.gather(-2, rows.expand(shape));
  return moved.gather(-1, columns.expand(images.sizes()));
}

at::Tensor cut_out(const at::Tensor& images, const at::Tensor& centre) {
  const auto inside = [&](int64_t axis, int64_t size) {  // [B, size]: 1 within the square's rows or columns
    const at::Tensor first = centre.select(1, axis).unsqueeze(1) - cutout_size(size) / 2;
    const at::Tensor place = at::arange(size, centre.options());
    return (place >= first).logical_and(place < first + cutout_size(size));
  };
  const at::Tensor rows = inside(0, images.size(-2)).unsqueeze(2), columns = inside(1, images.size(-1)).unsqueeze(1);
  return images * rows.logical_and(columns).logical_not().unsqueeze(1).to(images.scalar_type());  // mask [B, 1, H, W]
}

at::Tensor flip_columns(const at::Tensor& images, const at::Tensor& flip) {
  return at::where(per_sample(flip) > 0.5, images.flip(-1), images);
}

at::Tensor augment(const at::Tensor& images, const AugmentDraw& draw, const ColourMeans& means) {
  const at::Tensor moved = translate(augment_colour(images, draw, means), draw.translation);
  return flip_columns(cut_out(moved, draw.cutout), draw.flip);
}

}  // namespace gigacat::losses
