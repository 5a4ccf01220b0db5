// Losses of GigaGAN. Source: GigaGAN (arXiv 2303.05511) section 3.4 and 3.5; R1 from arXiv 1801.04406.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace gigacat::losses {

// Letters: B samples, M captions, E embedding width. Logits [B, 1, h, w]; each loss is a mean over samples and pixels:
// [].

// softplus(-real) + softplus(fake), what the discriminator minimises.
at::Tensor logistic_discriminator(const at::Tensor& real, const at::Tensor& fake);
// softplus(-fake), the generator's non-saturating half.
at::Tensor logistic_generator(const at::Tensor& fake);
// softplus(logits) of images with captions that are not theirs, weighed by sample: `weights` [B].
at::Tensor logistic_mismatch(const at::Tensor& logits, const at::Tensor& weights);

// Whether `order` is a permutation that gives no sample its own caption, which may stand there more than once.
bool is_derangement(const std::vector<std::string>& captions, const std::vector<int64_t>& order);
// A permutation that gives samples other captions, random by `keys` [B] in [0, 1): a derangement where one exists, that
// is where no caption stands at more than half of the places.
std::vector<int64_t> derange(const std::vector<std::string>& captions, const std::vector<float>& keys);

// Cross-entropy of each image over all texts: image [B, E], text [M, E], neither normalised; image a's own text is
// `first`
// + a. `scale` multiplies the cosines. -> [].
at::Tensor clip_contrastive(const at::Tensor& image, const at::Tensor& text, int64_t first, double scale);

// |d sum(score) / d x|^2 per sample: score [B] of images x [B, C, H, W] with requires_grad, made inside a
// nn::TwiceDifferentiable scope -> [B]. R1 is gamma / 2 times its mean, times the interval where it is lazy.
at::Tensor gradient_penalty(const at::Tensor& score, const at::Tensor& x);

}  // namespace gigacat::losses
