// Laplacian pyramids of images and patches of their levels. Source: Karras et al., "Progressive Growing of GANs"
// (2017), section 5, whose sliced Wasserstein distance compares such patches.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "gigacat/eval/network.h"

namespace gigacat::eval {

inline constexpr int64_t kPatchSide = 7, kPatchValues = 3 * kPatchSide * kPatchSide, kCoarsest = 16;

// Sides of the levels: size, size / 2, ... 16. Errors: InternalError when `size` is not 16 times a power of two.
std::vector<int64_t> pyramid_sides(int64_t size);

// The levels of one plane [size, size], finest first: what each adds to the next one enlarged; the last is the plane
// made small. Binomial filter of five taps, mirrored at the edges.
std::vector<std::vector<float>> laplacian_pyramid(std::vector<float> plane, int64_t size);

// A "network" without weights: feature "patches", [B, levels * count * 147], of `count` random patches of 7 x 7 pixels
// and three channels of each level. Images are cut to the middle square and resized to `size` where they differ from
// it. Where patches lie depends only on the image's number.
std::unique_ptr<FeatureNetwork> make_pyramid_network(int64_t size, int64_t count);

}  // namespace gigacat::eval
