// Differentiable augmentation, one draw per sample shared by all stage images of that sample.
// Source: DiffAugment (arXiv 2006.10738) as GAT uses it: colour, translation, cutout, flip.
#pragma once

#include <ATen/core/Tensor.h>

namespace gigacat::losses {

struct AugmentDraw {
  at::Tensor brightness, saturation, contrast;  // [B], uniform in [0, 1)
  at::Tensor colour;                            // [B], 1: the colour change is taken
  at::Tensor translation;                       // [B, 2], int64: (ty, tx), the content moves up / left by it
  at::Tensor cutout;                            // [B, 2], int64: centre (cy, cx)
  at::Tensor flip;                              // [B], 1: columns mirrored
};

// Largest translation along a side of `size`: int(size / 8 + 0.5). Side of the square that is cut out: int(size / 2 +
// 0.5).
int64_t translation_range(int64_t size);
int64_t cutout_size(int64_t size);

// What the colour changes are relative to: means of the last stage's image before any augmentation; gradients flow
// through them.
struct ColourMeans {
  at::Tensor channels;  // [B, 1, H, W]
  at::Tensor image;     // [B, 1, 1, 1]
};
ColourMeans colour_means(const at::Tensor& last_image);

// images [K, B, C, H, W] -> the same shape.
at::Tensor augment(const at::Tensor& images, const AugmentDraw& draw, const ColourMeans& means);

// Its parts, for images [.., B, C, H, W].
at::Tensor augment_colour(const at::Tensor& images, const AugmentDraw& draw, const ColourMeans& means);
// out[r, c] = in[r + ty, c + tx], 0 outside.
at::Tensor translate(const at::Tensor& images, const at::Tensor& translation);
at::Tensor cut_out(const at::Tensor& images, const at::Tensor& centre);
at::Tensor flip_columns(const at::Tensor& images, const at::Tensor& flip);

}  // namespace gigacat::losses
