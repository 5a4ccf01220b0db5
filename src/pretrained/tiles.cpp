#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "gigacat/core/error.h"
#include "gigacat/pretrained/autoencoder_kl.h"

namespace gigacat::pretrained {
namespace {

// First cells of tiles that cover 0..size-1; the last ends at the edge.
std::vector<int64_t> starts(int64_t size, int64_t tile, int64_t step) {
  std::vector<int64_t> out;
  for (int64_t at = 0; at + tile < size; at += step) out.push_back(at);
  out.push_back(std::max<int64_t>(0, size - tile));
  return out;
}

// Weights of a tile's cells along one side, [length]: rising over `ramp` cells from each inner edge.
at::Tensor ramp_weights(int64_t length, int64_t ramp, bool rises, bool falls, const at::TensorOptions& options) {
  const at::Tensor place = at::arange(length, options) + 0.5;
  at::Tensor weight = at::ones({length}, options);
  if (rises) weight = at::minimum(weight, place / static_cast<double>(ramp));
  if (falls) weight = at::minimum(weight, (static_cast<double>(length) - place) / static_cast<double>(ramp));
  return weight;
}

}  // namespace

at::Tensor blend_tiles(const at::Tensor& x, const Tiling& t, const std::function<at::Tensor(const at::Tensor&)>& f) {
  GIGACAT_CHECK(t.overlap < t.tile, t.overlap, " of ", t.tile);
  const auto out = [&t](int64_t n) { return t.shrink ? n / t.scale : n * t.scale; };
  const int64_t h = x.size(2), w = x.size(3), ramp = std::max<int64_t>(1, out(t.overlap));
  at::Tensor sum, total;  // [B, C', H', W'], [1, 1, H', W']
  for (const int64_t top : starts(h, t.tile, t.tile - t.overlap))
    for (const int64_t left : starts(w, t.tile, t.tile - t.overlap)) {
      const int64_t rows = std::min(t.tile, h), columns = std::min(t.tile, w);
      const at::Tensor y = f(x.narrow(2, top, rows).narrow(3, left, columns)).to(at::kFloat);
      if (!sum.defined()) {
        sum = at::zeros({y.size(0), y.size(1), out(h), out(w)}, y.options());
        total = at::zeros({1, 1, out(h), out(w)}, y.options());
      }
      const at::Tensor down = ramp_weights(y.size(2), ramp, top > 0, top + rows < h, y.options());
      const at::Tensor across = ramp_weights(y.size(3), ramp, left > 0, left + columns < w, y.options());
      const at::Tensor weight = down.unsqueeze(1) * across;  // [rows', columns']
      const auto window = [&](const at::Tensor& z) {
        return z.narrow(2, out(top), y.size(2)).narrow(3, out(left), y.size(3));
      };
      window(sum).add_(y * weight);
      window(total).add_(weight);
    }
  return (sum / total).to(x.scalar_type());
}

}  // namespace gigacat::pretrained
