#include "gigacat/models/style.h"

#include <ATen/Functions.h>

#include "gigacat/core/error.h"

// Letters as in the header.
namespace gigacat::models {
namespace {

// f of each tensor that is defined.
template <class F>
Style each(const Style& s, const F& f) {
  return {f(s.w), s.text.defined() ? f(s.text) : at::Tensor(), s.mask.defined() ? f(s.mask) : at::Tensor()};
}

Style spread(const Style& s, int64_t layers) {
  return each(s, [layers](const at::Tensor& x) {
    std::vector<int64_t> sizes = x.sizes().vec();
    sizes[1] = layers;
    return x.expand(sizes);
  });
}

at::Tensor layer_of(const at::Tensor& x, int64_t layer) {
  return x.defined() ? x.select(1, x.size(1) == 1 ? 0 : layer) : x;
}

}  // namespace

Style Style::of(const at::Tensor& w, const at::Tensor& text, const at::Tensor& mask) {
  return each(Style{w, text, mask}, [](const at::Tensor& x) { return x.unsqueeze(1); });
}

at::Tensor Style::w_of(int64_t layer) const { return layer_of(w, layer); }
at::Tensor Style::text_of(int64_t layer) const { return layer_of(text, layer); }
at::Tensor Style::mask_of(int64_t layer) const { return layer_of(mask, layer); }

Style Style::at(const at::Tensor& places) const {
  return each(*this, [&](const at::Tensor& x) { return x.index_select(0, places); });
}

Style mix(const Style& a, const Style& b, int64_t layers, int64_t crossover) {
  GIGACAT_CHECK(crossover >= 0 && crossover <= layers && a.size() == b.size(), "crossover ", crossover, " of ", layers);
  const Style coarse = spread(a, layers), fine = spread(b, layers);
  const auto join = [&](const at::Tensor& x, const at::Tensor& y) {
    if (!x.defined()) return x;
    return at::cat({x.narrow(1, 0, crossover), y.narrow(1, crossover, layers - crossover)}, 1);
  };
  return {join(coarse.w, fine.w), join(coarse.text, fine.text), join(coarse.mask, fine.mask)};
}

Style style_grid(const Style& rows, const Style& columns, int64_t layers, int64_t crossover) {
  const at::Tensor row = at::arange(rows.size(), rows.w.options().dtype(at::kLong));
  const at::Tensor column = at::arange(columns.size(), rows.w.options().dtype(at::kLong));
  return mix(rows.at(row.repeat_interleave(columns.size())), columns.at(column.repeat({rows.size()})), layers,
             crossover);
}

Style interpolate(const Style& a, const Style& b, double alpha) {
  if (alpha == 0) return a;
  if (alpha == 1) return b;
  const auto between = [alpha](const at::Tensor& x, const at::Tensor& y) { return x + (y - x) * alpha; };
  if (!a.text.defined()) return {between(a.w, b.w), {}, {}};
  return {between(a.w, b.w), between(a.text, b.text), a.mask.logical_or(b.mask)};
}

at::Tensor truncate(const at::Tensor& w, const at::Tensor& w_mean, const at::Tensor& w_mean_c, double psi) {
  if (psi == 1) return w;
  const at::Tensor global = w_mean + (w - w_mean) * psi;
  return w_mean_c + (global - w_mean_c) * psi;
}

}  // namespace gigacat::models
