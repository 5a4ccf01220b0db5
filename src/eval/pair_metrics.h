// Metrics of two images that belong together.
#pragma once

#include "gigacat/io/image.h"

namespace gigacat::eval {

// Peak signal-to-noise ratio in dB over all pixels and channels, peak 255; infinite for equal images. Errors: Error
// when sizes differ.
double psnr(const io::Image& a, const io::Image& b);

// Structural similarity: Gaussian window 11 x 11 of deviation 1.5, K1 0.01, K2 0.03, population covariance, mean over
// the pixels whose window lies inside and over channels. Errors: Error when sizes differ or a side is shorter than 11.
// Source: Wang et al., "Image quality assessment" (2004); scikit-image structural_similarity(gaussian_weights=True,
// use_sample_covariance=False).
double ssim(const io::Image& a, const io::Image& b);

}  // namespace gigacat::eval
