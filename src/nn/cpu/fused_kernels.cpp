// Compiled once per instruction set (see CMakeLists.txt): GIGACAT_ISA names the set. No header with inline functions is
// included: their code for one set must not be linked into a program that runs on another.
#include "nn/cpu/fused_kernels.h"

namespace gigacat::nn {
namespace {

inline float bits_to_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
inline uint32_t float_to_bits(float value) { return __builtin_bit_cast(uint32_t, value); }

// exp with a relative error of about 2e-7, in vectorisable operations: 2^n from the exponent bits, the rest by a
// polynomial.
inline float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float n = __builtin_floorf(x * 1.44269504f + 0.5f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * bits_to_float(static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23);
}

float rms(const float* __restrict x, const float* __restrict w, float plus, float eps, int64_t d, float* __restrict y) {
  float sum = 0;
  for (int64_t i = 0; i < d; ++i) sum += x[i] * x[i];
  const float r = 1.0f / __builtin_sqrtf(sum / static_cast<float>(d) + eps);
  for (int64_t i = 0; i < d; ++i) y[i] = x[i] * r * (w[i] + plus);
  return r;
}

void rms_backward(const float* __restrict dy, const float* __restrict x, const float* __restrict w, float plus, float r,
                  int64_t d, float* __restrict dx, float* __restrict dw) {
  float dot = 0;
  for (int64_t i = 0; i < d; ++i) dot += dy[i] * (w[i] + plus) * x[i];
  const float pull = r * r * r * dot / static_cast<float>(d);
  for (int64_t i = 0; i < d; ++i) dx[i] = r * dy[i] * (w[i] + plus) - x[i] * pull;
  if (dw)
    for (int64_t i = 0; i < d; ++i) dw[i] += dy[i] * x[i] * r;
}

void swiglu(const float* __restrict x, int64_t f, float* __restrict h) {
  const float* __restrict b = x + f;
  for (int64_t i = 0; i < f; ++i) h[i] = x[i] / (1.0f + fast_exp(-x[i])) * b[i];
}

void swiglu_backward(const float* __restrict dh, const float* __restrict x, int64_t f, float* __restrict dx) {
  const float* __restrict b = x + f;
  float* __restrict db = dx + f;
  for (int64_t i = 0; i < f; ++i) {
    const float s = 1.0f / (1.0f + fast_exp(-x[i]));
    const float silu = x[i] * s;
    db[i] = dh[i] * silu;
    dx[i] = dh[i] * b[i] * (s + silu * (1.0f - s));
  }
}

void rotate(const float* __restrict x, const float* __restrict w, float eps, const float* __restrict cos,
            const float* __restrict sin, int64_t h, int64_t d, float* __restrict out, float* __restrict r) {
  for (int64_t head = 0; head < h; ++head, x += d, out += d) {
    float scale = 1;
    if (w) {
      float sum = 0;
      for (int64_t i = 0; i < d; ++i) sum += x[i] * x[i];
      scale = r[head] = 1.0f / __builtin_sqrtf(sum / static_cast<float>(d) + eps);
    }
    for (int64_t i = 0; i < d; i += 2) {
      const float a = x[i] * scale * (w ? w[i] : 1.0f), b = x[i + 1] * scale * (w ? w[i + 1] : 1.0f);
      out[i] = a * cos[i] - b * sin[i];
      out[i + 1] = b * cos[i + 1] + a * sin[i + 1];
    }
  }
}

void rotate_backward(const float* __restrict dout, const float* __restrict x, const float* __restrict w,
                     const float* __restrict r, const float* __restrict cos, const float* __restrict sin, int64_t h,
                     int64_t d, float* __restrict dx, float* __restrict dw, float* __restrict scratch) {
  for (int64_t head = 0; head < h; ++head, x += d, dout += d, dx += d) {
    float* to = w ? scratch : dx;
    for (int64_t i = 0; i < d; i += 2) {
      to[i] = dout[i] * cos[i] + dout[i + 1] * sin[i + 1];
      to[i + 1] = dout[i + 1] * cos[i + 1] - dout[i] * sin[i];
    }
    if (w) rms_backward(scratch, x, w, 0, r[head], d, dx, dw);
  }
}

void gate(const float* __restrict x, const float* __restrict g, const float* __restrict y, int64_t d,
          float* __restrict out) {
  for (int64_t i = 0; i < d; ++i) out[i] = x[i] + g[i] * y[i];
}

void gate_backward(const float* __restrict dout, const float* __restrict g, const float* __restrict y, int64_t d,
                   float* __restrict dy, float* __restrict dg) {
  for (int64_t i = 0; i < d; ++i) dy[i] = g[i] * dout[i];
  if (dg)
    for (int64_t i = 0; i < d; ++i) dg[i] += dout[i] * y[i];
}

constexpr float kLeakySlope = 0.2f, kLeakyGain = 1.41421356f;

void leaky(const float* __restrict x, float bias, int64_t n, float* __restrict y) {
  for (int64_t i = 0; i < n; ++i) {
    const float value = (x[i] + bias) * kLeakyGain;
    y[i] = value > 0 ? value : value * kLeakySlope;
  }
}

float leaky_backward(const float* __restrict dy, const float* __restrict y, int64_t n, float* __restrict dx) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    dx[i] = dy[i] * (y[i] > 0 ? kLeakyGain : kLeakyGain * kLeakySlope);
    sum += dx[i];
  }
  return sum;
}

// Row y of the columns' convolution [W]: a sum of the plane's rows under the taps; rows of zeros cost nothing.
void fir_columns(const float* __restrict plane, const FirShape& s, const float* __restrict flipped, int64_t y,
                 float* __restrict row) {
  bool first = true;
  for (int64_t k = 0; k < s.taps; ++k) {
    const int64_t at = y * s.down + k - s.top;
    if (at < 0 || at % s.up != 0 || at / s.up >= s.height) continue;
    const float* __restrict const from = plane + at / s.up * s.width;
    const float tap = flipped[k];
    if (first)
      for (int64_t x = 0; x < s.width; ++x) row[x] = tap * from[x];
    else
      for (int64_t x = 0; x < s.width; ++x) row[x] += tap * from[x];
    first = false;
  }
  for (int64_t x = 0; x < s.width && first; ++x) row[x] = 0;
}

template <int Down>
void fir_row(const float* __restrict from, const float* __restrict flipped, int64_t taps, int64_t columns,
             float* __restrict out) {
  if (taps == 4) {
    const float a = flipped[0], b = flipped[1], c = flipped[2], d = flipped[3];
    for (int64_t x = 0; x < columns; ++x)
      out[x] = a * from[x * Down] + b * from[x * Down + 1] + c * from[x * Down + 2] + d * from[x * Down + 3];
    return;
  }
  for (int64_t x = 0; x < columns; ++x) {
    float sum = 0;
    for (int64_t k = 0; k < taps; ++k) sum += flipped[k] * from[x * Down + k];
    out[x] = sum;
  }
}

// The row as it is convolved, zeros inserted and padded, stays in the scratch: only its values change.
void fir(const float* __restrict plane, const FirShape& s, const float* __restrict flipped, float* __restrict scratch,
         float* __restrict out) {
  float* const padded = scratch + s.width;
  const int64_t total = (s.columns - 1) * s.down + s.taps;
  for (int64_t i = 0; i < total; ++i) padded[i] = 0;
  const int64_t skip = s.left < 0 ? (-s.left + s.up - 1) / s.up : 0;
  const int64_t fits = total > s.left ? (total - s.left + s.up - 1) / s.up : 0, end = fits < s.width ? fits : s.width;
  for (int64_t y = 0; y < s.rows; ++y) {
    fir_columns(plane, s, flipped, y, scratch);
    if (s.up == 1)
      for (int64_t x = skip; x < end; ++x) padded[x + s.left] = scratch[x];
    else
      for (int64_t x = skip; x < end; ++x) padded[x * s.up + s.left] = scratch[x];
    float* const to = out + y * s.columns;
    if (s.down == 1) {
      fir_row<1>(padded, flipped, s.taps, s.columns, to);
    } else if (s.down == 2) {
      fir_row<2>(padded, flipped, s.taps, s.columns, to);
    } else {
      for (int64_t x = 0; x < s.columns; ++x) {
        to[x] = 0;
        for (int64_t k = 0; k < s.taps; ++k) to[x] += flipped[k] * padded[x * s.down + k];
      }
    }
  }
}

constexpr int64_t kLanes = 16;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

// A NaN is lost here and comes back with the sum.
float max_of(const float* __restrict x, int64_t n) {
  float most = x[0];
  int64_t i = 0;
  if (n >= kLanes) {
    Lanes lanes = *reinterpret_cast<const Lanes*>(x);
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
      const Lanes next = *reinterpret_cast<const Lanes*>(x + i);
      lanes = next > lanes ? next : lanes;
    }
    for (int64_t l = 0; l < kLanes; ++l) most = lanes[l] > most ? lanes[l] : most;
  }
  for (; i < n; ++i) most = x[i] > most ? x[i] : most;
  return most;
}

float softmax(const float* __restrict x, int64_t n, float scale, float* __restrict p, float* __restrict sum) {
  const float most = max_of(x, n);
  float total = 0;
  for (int64_t i = 0; i < n; ++i) {
    p[i] = fast_exp(scale * (x[i] - most));
    total += p[i];
  }
  *sum = total;
  return scale * most + __builtin_logf(total);
}

void softmax_backward(float* __restrict logits, float* __restrict grads, const float* __restrict sums,
                      const float* __restrict dots, float scale, int64_t rows, int64_t n) {
  for (int64_t row = 0; row < rows; ++row, logits += n, grads += n)
    for (int64_t i = 0; i < n; ++i) {
      logits[i] = fast_exp(scale * logits[i] - sums[i]);
      grads[i] = scale * logits[i] * (grads[i] - dots[i]);
    }
}

void transpose(const float* __restrict x, int64_t stride, int64_t rows, int64_t columns, float* __restrict y,
               int64_t y_stride) {
  for (int64_t first = 0; first < rows; first += kLanes) {
    const int64_t end = first + kLanes < rows ? first + kLanes : rows;
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t r = first; r < end; ++r) y[c * y_stride + r] = x[r * stride + c];
  }
}

void load_bf16(const uint16_t* __restrict from, int64_t n, float* __restrict to) {
  for (int64_t i = 0; i < n; ++i) to[i] = bits_to_float(static_cast<uint32_t>(from[i]) << 16);
}

void store_bf16(const float* __restrict from, int64_t n, uint16_t* __restrict to) {
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = float_to_bits(from[i]);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;  // rounding could carry a NaN into infinity
    to[i] = static_cast<uint16_t>(nan ? (bits >> 16) | 0x40u : rounded);
  }
}

}  // namespace

extern const FusedKernels GIGACAT_ISA;
const FusedKernels GIGACAT_ISA{
    rms,   rms_backward,   swiglu, swiglu_backward, rotate,           rotate_backward, gate,      gate_backward,
    leaky, leaky_backward, fir,    softmax,         softmax_backward, transpose,       load_bf16, store_bf16};

}  // namespace gigacat::nn
