// Source: Pillow, "ImagingResample" (method); PyTorch upsample_bilinear2d, TensorFlow 1 resize_bilinear (places).
#include "io/resample_taps.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace gigacat::io {

namespace {

double box_weight(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double triangle_weight(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

double cubic_weight(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos_weight(double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0.0; }

void add_result(Taps& taps, int64_t source, double center, double support, double shrink, const Filter& filter) {
  const auto first = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
  const auto count = std::min<int64_t>(source, static_cast<int64_t>(center + support + 0.5)) - first;
  double sum = 0;
  const size_t begin = taps.weights.size();
  for (int64_t k = 0; k < count; ++k) {
    taps.weights.push_back(filter.weight((static_cast<double>(k + first) - center + 0.5) * (1 / shrink)));
    sum += taps.weights.back();
  }
  if (sum != 0)
    for (size_t k = begin; k < taps.weights.size(); ++k) taps.weights[k] /= sum;
  taps.first.push_back(static_cast<int32_t>(first));
  taps.count.push_back(static_cast<int32_t>(count));
  taps.weights.resize(taps.first.size() * taps.stride);
}

}  // namespace

const Filter kBox{0.5, box_weight}, kBilinear{1.0, triangle_weight}, kBicubic{2.0, cubic_weight},
    kLanczos{3.0, lanczos_weight};

Taps make_taps(int64_t source, const Cut& cut, const Filter& filter) {
  const double scale = static_cast<double>(source) / static_cast<double>(cut.whole);
  const double shrink = std::max(scale, 1.0);
  const double support = filter.support * shrink;
  Taps taps;
  taps.stride = static_cast<size_t>(std::ceil(support)) * 2 + 1;
  for (int64_t i = 0; i < cut.size; ++i) {
    add_result(taps, source, (static_cast<double>(cut.begin + i) + 0.5) * scale, support, shrink, filter);
  }
  return taps;
}

Taps linear_taps(int64_t source, int64_t results, bool half_pixel) {
  const float scale = static_cast<float>(source) / static_cast<float>(results);
  Taps taps;
  taps.stride = 2;
  for (int64_t i = 0; i < results; ++i) {
    const auto index = static_cast<float>(i);
    const float place = half_pixel ? std::max(0.0f, (index + 0.5f) * scale - 0.5f) : index * scale;
    const auto low = std::min(static_cast<int64_t>(place), source - 1);
    const double part = low + 1 < source ? static_cast<double>(place - static_cast<float>(low)) : 0.0;
    taps.first.push_back(static_cast<int32_t>(low));
    taps.count.push_back(low + 1 < source ? 2 : 1);
    taps.weights.push_back(1.0 - part);
    taps.weights.push_back(part);
  }
  return taps;
}

}  // namespace gigacat::io
