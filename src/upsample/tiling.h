// An image through a network that takes tiles of one size: overlapping tiles, weighted sums, rows given out as they are
// done, so that memory is bounded by a strip of tiles. Letters: t tile size, S scale, H x W image.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace gigacat::upsample {

// How an image is covered, and how tiles that overlap are mixed.
struct Tiling {
  int64_t tile = 64, scale = 4;  // px of the image, and pixels out for each
  // feather: tiles `overlap` px apart from full distance, ramps across the overlap. plain: side by side. checkerboard:
  // twice side by side, half a tile apart, each weighted toward its middle. even: the same with equal weights.
  // The last three as in aura-sr 0.0.4.
  std::string blend = "feather";
  int64_t overlap = 16;  // px, less than half of the tile
  int64_t batch = 8;     // tiles at once
};

// Tiles [B, C, t, t] of the image -> [B, 3, S t, S t]; the result is clamped to [0, 1].
using TileNetwork = std::function<at::Tensor(const at::Tensor& tiles)>;
// Finished rows [3, n, S W], from the top on.
using RowSink = std::function<void(const at::Tensor& rows)>;

// Runs the image [C, H, W] through the network. Beyond its edges the image is mirrored (the edge not repeated), however
// small it is. `progress`: tiles done so far.
void upscale(const at::Tensor& image, const Tiling& tiling, const TileNetwork& network, const RowSink& sink,
             const std::function<void(int64_t)>& progress = {});
// Tiles that it takes.
int64_t count_tiles(int64_t height, int64_t width, const Tiling& tiling);

// What the share of the first of two checkerboard passes is made of, over an output tile [S t, S t].
at::Tensor checkerboard_weights(int64_t side);

}  // namespace gigacat::upsample
