// Row kernels behind nn/fused.h: plain float loops, compiled once per instruction set and chosen at run time.
#pragma once

#include <cstdint>

namespace gigacat::nn {

// A separable filter on one plane H x W -> R x S: zeros inserted (up), padded at the left and top, every down-th kept.
struct FirShape {
  int64_t height, width, rows, columns, up, down, left, top, taps;
};

struct FusedKernels {
  // y = x * r * (w + plus), returns r = 1 / sqrt(mean(x^2) + eps).
  float (*rms)(const float* x, const float* w, float plus, float eps, int64_t d, float* y);
  // Gradients of the above: dx is set, dw (may be null) is added to.
  void (*rms_backward)(const float* dy, const float* x, const float* w, float plus, float r, int64_t d, float* dx,
                       float* dw);
  // h = silu(x[0:f]) * x[f:2f].
  void (*swiglu)(const float* x, int64_t f, float* h);
  void (*swiglu_backward)(const float* dh, const float* x, int64_t f, float* dx);
  // Heads of one token: x [h, d] -> norm (w may be null: none) and rotation -> out [h, d]; r [h] is set when w is not
  // null.
  void (*rotate)(const float* x, const float* w, float eps, const float* cos, const float* sin, int64_t h, int64_t d,
                 float* out, float* r);
  // dx [h, d] is set, dw [d] (may be null) is added to; scratch [d].
  void (*rotate_backward)(const float* dout, const float* x, const float* w, const float* r, const float* cos,
                          const float* sin, int64_t h, int64_t d, float* dx, float* dw, float* scratch);
  // out = x + g * y.
  void (*gate)(const float* x, const float* g, const float* y, int64_t d, float* out);
  // dy = g * dout is set; dg (may be null) is added dout * y.
  void (*gate_backward)(const float* dout, const float* g, const float* y, int64_t d, float* dy, float* dg);
  // y = sqrt(2) leaky_relu(x + bias) of slope 0.2.
  void (*leaky)(const float* x, float bias, int64_t n, float* y);
  // dx is set, the sum of it returned.
  float (*leaky_backward)(const float* dy, const float* y, int64_t n, float* dx);
  // out [R, S] is set; flipped [taps]; scratch holds W + (S - 1) down + taps floats.
  void (*fir)(const float* plane, const FirShape& shape, const float* flipped, float* scratch, float* out);
  // p = exp(scale x - max(scale x)); returns log(sum(exp(scale x))). `sum` is set to the sum of p.
  float (*softmax)(const float* x, int64_t n, float scale, float* p, float* sum);
  // Rows [rows, n]: logits are set to p = exp(scale logits - sums), grads to scale p (grads - dots); sums, dots [n].
  void (*softmax_backward)(float* logits, float* grads, const float* sums, const float* dots, float scale, int64_t rows,
                           int64_t n);
  // x [rows, columns], its rows `stride` floats apart, to y [columns, rows], whose rows lie y_stride apart.
  void (*transpose)(const float* x, int64_t stride, int64_t rows, int64_t columns, float* y, int64_t y_stride);
  // bfloat16 is the upper half of a float; stores round to nearest even.
  void (*load_bf16)(const uint16_t* from, int64_t n, float* to);
  void (*store_bf16)(const float* from, int64_t n, uint16_t* to);
};

// The fastest set that this CPU has.
const FusedKernels& fused_kernels();

}  // namespace gigacat::nn
