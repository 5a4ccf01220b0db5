#include "upsample/tiling.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "gigacat/core/error.h"

namespace gigacat::upsample {
namespace {

struct Place {
  int64_t y, x;  // of the tile's corner in the image; may lie outside
};

// Index i of an endless mirrored line of `size` points: ... 2 1 0 1 2 ... size-1 size-2 ...
int64_t mirrored(int64_t i, int64_t size) {
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);
  i = ((i % period) + period) % period;
  return i < size ? i : period - i;
}

int64_t rounded_up(int64_t size, int64_t step) { return (size + step - 1) / step * step; }

// Corners along one side: of tiles side by side from `first` on, or `stride` apart with the last one flush.
std::vector<int64_t> side_by_side(int64_t first, int64_t size, int64_t tile) {
  std::vector<int64_t> corners;
  for (int64_t at = first; at < size; at += tile) corners.push_back(at);
  return corners;
}

std::vector<int64_t> overlapping(int64_t size, int64_t tile, int64_t stride) {
  std::vector<int64_t> corners{0};
  while (corners.back() + tile < size) corners.push_back(corners.back() + stride);
  return corners;
}

bool is_double(const Tiling& tiling) { return tiling.blend == "checkerboard" || tiling.blend == "even"; }

std::vector<Place> places(int64_t height, int64_t width, const Tiling& tiling) {
  std::vector<Place> all;
  const auto add = [&](const std::vector<int64_t>& rows, const std::vector<int64_t>& columns) {
    for (const int64_t y : rows)
      for (const int64_t x : columns) all.push_back({y, x});
  };
  const int64_t t = tiling.tile;
  if (tiling.blend == "feather") {
    add(overlapping(height, t, t - tiling.overlap), overlapping(width, t, t - tiling.overlap));
  } else {
    add(side_by_side(0, height, t), side_by_side(0, width, t));
    const auto between = [&](int64_t size) { return side_by_side(-t / 2, rounded_up(size, t) + t / 2, t); };
    if (is_double(tiling)) add(between(height), between(width));
  }
  std::stable_sort(all.begin(), all.end(), [](const Place& a, const Place& b) { return a.y < b.y; });
  return all;
}

// Up across the first `ramp` values, down across the last.
at::Tensor ramp(int64_t side, int64_t ramp) {
  const at::Tensor from_edge = at::arange(side, at::kFloat) + 0.5;
  return at::minimum(from_edge, from_edge.flip(0)).div(static_cast<double>(std::max<int64_t>(1, ramp))).clamp_max(1);
}

// Weight of each pixel of a tile's output, [S t, S t].
at::Tensor tile_weights(const Tiling& tiling) {
  const int64_t side = tiling.tile * tiling.scale;
  if (tiling.blend == "checkerboard") return checkerboard_weights(side);
  if (tiling.blend == "feather") {
    const at::Tensor line = ramp(side, tiling.overlap * tiling.scale);
    return line.unsqueeze(1) * line;
  }
  return at::ones({side, side});
}

void check(const Tiling& tiling) {
  for (const char* known : {"feather", "plain", "checkerboard", "even"})
    if (tiling.blend == known) {
      GIGACAT_CHECK(tiling.tile >= 2 && tiling.overlap >= 0 && 2 * tiling.overlap < tiling.tile && tiling.batch > 0,
                    "tile ", tiling.tile, ", overlap ", tiling.overlap);
      return;
    }
  fail<UsageError>("there is no blend \"", tiling.blend, "\"; known: feather, plain, checkerboard, even");
}

// The image's pixels below a tile, mirrored beyond the edges. In the passes between two of the reference's tilings its
// padded image is mirrored once more.
at::Tensor cut(const at::Tensor& image, const Place& place, const Tiling& tiling) {
  const auto indices = [&](int64_t first, int64_t size) {
    std::vector<int64_t> picked;
    const int64_t whole = is_double(tiling) ? rounded_up(size, tiling.tile) : 0;
    for (int64_t i = first; i < first + tiling.tile; ++i)
      picked.push_back(mirrored(whole > 0 ? mirrored(i, whole) : i, size));
    return at::tensor(picked, at::kLong);
  };
  return image.index_select(1, indices(place.y, image.size(1))).index_select(2, indices(place.x, image.size(2)));
}

// Weighted sums over the rows that are not given out yet.
class Strip {
 public:
  Strip(int64_t height, int64_t width, int64_t rows, const RowSink& sink)
      : sums_(at::zeros({3, rows, width})), weights_(at::zeros({rows, width})), height_(height), sink_(sink) {}

  // Adds an output tile [3, s, s] with its corner at output pixel (y, x), weights [s, s].
  void add(const at::Tensor& tile, const at::Tensor& weights, int64_t y, int64_t x) {
    const int64_t top = std::max<int64_t>(y, 0), left = std::max<int64_t>(x, 0);
    const int64_t bottom = std::min(y + tile.size(1), height_), right = std::min(x + tile.size(2), sums_.size(2));
    if (top >= bottom || left >= right) return;
    const auto inside = [&](const at::Tensor& values, int64_t dim) {
      return values.narrow(dim, top - y, bottom - top).narrow(dim + 1, left - x, right - left);
    };
    const at::Tensor w = inside(weights, 0);
    window(sums_, 1, top, bottom, left, right).add_(inside(tile, 1) * w);
    window(weights_, 0, top, bottom, left, right).add_(w);
  }

  // Gives out all rows above y: no later tile touches them.
  void finish_above(int64_t y) {
    const int64_t count = std::min(y, height_) - first_;
    if (count <= 0) return;
    const int64_t left = sums_.size(1) - count;
    sink_(sums_.narrow(1, 0, count) / weights_.narrow(0, 0, count));
    for (const auto& [values, dim] : {std::pair(sums_, 1), std::pair(weights_, 0)}) {
      values.narrow(dim, 0, left).copy_(values.narrow(dim, count, left).clone());
      values.narrow(dim, left, count).zero_();
    }
    first_ += count;
  }

 private:
  at::Tensor window(const at::Tensor& values, int64_t dim, int64_t top, int64_t bottom, int64_t left,
                    int64_t right) const {
    return values.narrow(dim, top - first_, bottom - top).narrow(dim + 1, left, right - left);
  }
  at::Tensor sums_, weights_;  // rows first_ ... of the output
  int64_t height_, first_ = 0;
  const RowSink& sink_;
};

}  // namespace

at::Tensor checkerboard_weights(int64_t side) {
  const at::Tensor line = at::linspace(-1, 1, side);
  const at::Tensor squared = line.square().unsqueeze(1) + line.square();
  const at::Tensor weights = (squared / -0.5).exp().pow(8);
  return weights / weights.max();
}

int64_t count_tiles(int64_t height, int64_t width, const Tiling& tiling) {
  check(tiling);
  return static_cast<int64_t>(places(height, width, tiling).size());
}

void upscale(const at::Tensor& image, const Tiling& tiling, const TileNetwork& network, const RowSink& sink,
             const std::function<void(int64_t)>& progress) {
  check(tiling);
  const at::NoGradGuard no_grad;
  const int64_t scale = tiling.scale, height = image.size(1) * scale, width = image.size(2) * scale;
  const std::vector<Place> all = places(image.size(1), image.size(2), tiling);
  const at::Tensor weights = tile_weights(tiling);
  // Tiles of one batch span at most the strip of its first tile and those that begin before it ends.
  Strip strip(height, width, std::min(height, 3 * tiling.tile * scale) + tiling.tile * scale, sink);
  for (size_t first = 0; first < all.size();) {
    size_t last = first;
    std::vector<at::Tensor> tiles;
    while (last < all.size() && std::ssize(tiles) < tiling.batch && all[last].y - all[first].y < tiling.tile)
      tiles.push_back(cut(image, all[last++], tiling));
    strip.finish_above(all[first].y * scale);
    const at::Tensor out = network(at::stack(tiles)).to(at::kCPU, at::kFloat).clamp(0, 1);
    for (size_t i = first; i < last; ++i)
      strip.add(out[static_cast<int64_t>(i - first)], weights, all[i].y * scale, all[i].x * scale);
    first = last;
    if (progress) progress(static_cast<int64_t>(last));
  }
  strip.finish_above(height);
}

}  // namespace gigacat::upsample
