// What the layers of a generator are told of its samples, and the edits that are made of it.
// Source: GigaGAN (arXiv 2303.05511) section 5; StyleGAN for style mixing.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace gigacat::models {

// Letters: B samples, n layers, coarse first, or 1 for all layers alike; V style width; L tokens of a text, D their
// width.
struct Style {
  at::Tensor w;     // [B, n, V]
  at::Tensor text;  // [B, n, L, D], of models of text; else undefined
  at::Tensor mask;  // [B, n, L] bool, tokens that are visible

  // One style for all layers. w [B, V], text [B, L, D], mask [B, L].
  static Style of(const at::Tensor& w, const at::Tensor& text = {}, const at::Tensor& mask = {});
  int64_t size() const { return w.size(0); }
  // What layer l is told: [B, V], [B, L, D], [B, L].
  at::Tensor w_of(int64_t layer) const;
  at::Tensor text_of(int64_t layer) const;
  at::Tensor mask_of(int64_t layer) const;
  // The samples at places, [m] int64.
  Style at(const at::Tensor& places) const;
};

// Layers before `crossover` from a, the others from b; of one size. Errors: InternalError for a crossover outside
// 0..layers.
Style mix(const Style& a, const Style& b, int64_t layers, int64_t crossover);

// Every row's style in the layers before `crossover`, every column's from there on: sample r * columns + c.
Style style_grid(const Style& rows, const Style& columns, int64_t layers, int64_t crossover);

// a + (b - a) * alpha, of w and of text; between the ends a token is visible where it is in either.
Style interpolate(const Style& a, const Style& b, double alpha);

// w' = lerp(w_mean_c, lerp(w_mean, w, psi), psi): toward the condition's own mean w_mean_c [B, V] by way of the mean of
// all w_mean [V]; psi 1 gives w, psi 0 gives w_mean_c. w [B, V].
at::Tensor truncate(const at::Tensor& w, const at::Tensor& w_mean, const at::Tensor& w_mean_c, double psi);

}  // namespace gigacat::models
