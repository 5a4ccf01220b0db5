// PIL's resampling of 8-bit images, to the bit: horizontal pass, rounding to 8 bits, vertical pass, weights in 22-bit
// fixed point. Source: Pillow, "ImagingResample" (method); guided-diffusion image_datasets.center_crop_arr.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "gigacat/core/error.h"
#include "gigacat/io/image.h"

namespace gigacat::io {

namespace {

constexpr int kWeightBits = 22;

struct Filter {
  double support;
  double (*weight)(double x);
};

double box_weight(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

// Keys' cubic with a = -0.5.
double cubic_weight(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

constexpr Filter kBox{0.5, box_weight}, kBicubic{2.0, cubic_weight};

// What is made of one axis: results `begin` to `begin + size` of an axis of `whole`.
struct Cut {
  int64_t whole, begin, size;
};

// For each result the first source pixel, the number of them, and their weights (`stride` apart from the next
// result's).
struct Taps {
  std::vector<int32_t> first, count, weights;
  size_t stride = 0;
  const int32_t* of(int64_t i) const { return weights.data() + static_cast<size_t>(i) * stride; }
};

void add_result(Taps& taps, int64_t source, double center, double support, double shrink, const Filter& filter) {
  const auto first = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
  const auto count = std::min<int64_t>(source, static_cast<int64_t>(center + support + 0.5)) - first;
  std::vector<double> weights(static_cast<size_t>(count));
  double sum = 0;
  for (int64_t k = 0; k < count; ++k) {
    weights[static_cast<size_t>(k)] = filter.weight((static_cast<double>(k + first) - center + 0.5) * (1 / shrink));
    sum += weights[static_cast<size_t>(k)];
  }
  taps.first.push_back(static_cast<int32_t>(first));
  taps.count.push_back(static_cast<int32_t>(count));
  for (double weight : weights) {
    const double fixed = (sum != 0 ? weight / sum : weight) * (1 << kWeightBits);
    taps.weights.push_back(static_cast<int32_t>(fixed + (fixed < 0 ? -0.5 : 0.5)));
  }
  taps.weights.resize(taps.first.size() * taps.stride);
}

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

#if defined(__x86_64__)
#define GIGACAT_AVX2 __attribute__((target("avx2")))
const bool kHasAvx2 = __builtin_cpu_supports("avx2");
#endif
#define GIGACAT_INLINE [[gnu::always_inline]] inline

GIGACAT_INLINE uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255)); }

// One row. `from` may be read up to three bytes beyond its pixels: each load takes four bytes whatever the number of
// channels.
template <int channels>
GIGACAT_INLINE void row_body(const uint8_t* from, const Taps& taps, uint8_t* to, int64_t results) {
  for (int64_t x = 0; x < results; ++x, to += channels) {
    const uint8_t* pixel = from + static_cast<int64_t>(taps.first[static_cast<size_t>(x)]) * channels;
    const int32_t* weights = taps.of(x);
    const int32_t count = taps.count[static_cast<size_t>(x)];
    int32_t sums[4] = {1 << (kWeightBits - 1), 1 << (kWeightBits - 1), 1 << (kWeightBits - 1), 1 << (kWeightBits - 1)};
    for (int32_t k = 0; k < count; ++k, pixel += channels) {
      for (int c = 0; c < 4; ++c) sums[c] += weights[k] * pixel[c];
    }
    for (int c = 0; c < channels; ++c) to[c] = to_byte(sums[c]);
  }
}

// Rows of `bytes` bytes, `bytes` apart, weighted into one; blocks of columns keep their sums in registers.
template <int block>
GIGACAT_INLINE int64_t columns_body(const uint8_t* from, int64_t bytes, const int32_t* weights, int32_t count,
                                    uint8_t* to, int64_t x) {
  for (; x + block <= bytes; x += block) {
    int32_t sums[block];
    for (int i = 0; i < block; ++i) sums[i] = 1 << (kWeightBits - 1);
    for (int32_t k = 0; k < count; ++k) {
      const uint8_t* row = from + k * bytes + x;
      for (int i = 0; i < block; ++i) sums[i] += weights[k] * row[i];
    }
    for (int i = 0; i < block; ++i) to[x + i] = to_byte(sums[i]);
  }
  return x;
}

GIGACAT_INLINE void column_body(const uint8_t* from, int64_t bytes, const int32_t* weights, int32_t count,
                                uint8_t* to) {
  const int64_t x = columns_body<32>(from, bytes, weights, count, to, 0);
  columns_body<1>(from, bytes, weights, count, to, x);
}

#if defined(__x86_64__)
template <int channels>
GIGACAT_AVX2 void row_avx2(const uint8_t* from, const Taps& taps, uint8_t* to, int64_t results) {
  row_body<channels>(from, taps, to, results);
}
GIGACAT_AVX2 void column_avx2(const uint8_t* from, int64_t bytes, const int32_t* weights, int32_t count, uint8_t* to) {
  column_body(from, bytes, weights, count, to);
}
#endif

template <int channels>
void resample_row(const uint8_t* from, const Taps& taps, uint8_t* to, int64_t results) {
#if defined(__x86_64__)
  if (kHasAvx2) return row_avx2<channels>(from, taps, to, results);
#endif
  row_body<channels>(from, taps, to, results);
}

void resample_column(const uint8_t* from, int64_t bytes, const int32_t* weights, int32_t count, uint8_t* to) {
#if defined(__x86_64__)
  if (kHasAvx2) return column_avx2(from, bytes, weights, count, to);
#endif
  column_body(from, bytes, weights, count, to);
}

Image uninitialised(int64_t height, int64_t width, int64_t channels) {
  Image image{.height = height, .width = width, .channels = channels, .pixels = {}};
  image.pixels.resize(static_cast<size_t>(height * width * channels));
  return image;
}

// Rows `begin` to `begin + count` of the image, resampled along x.
Image resample_rows(const Image& image, const Taps& taps, int64_t begin, int64_t count) {
  const auto results = static_cast<int64_t>(taps.first.size());
  Image out = uninitialised(count, results, image.channels);
  std::vector<uint8_t> row(static_cast<size_t>(image.width * image.channels) + 3);
  for (int64_t y = 0; y < count; ++y) {
    std::memcpy(row.data(), image.row(begin + y), row.size() - 3);
    switch (image.channels) {
      case 1:
        resample_row<1>(row.data(), taps, out.row(y), results);
        break;
      case 3:
        resample_row<3>(row.data(), taps, out.row(y), results);
        break;
      default:
        resample_row<4>(row.data(), taps, out.row(y), results);
        break;
    }
  }
  return out;
}

Image resample(const Image& image, const Filter& filter, const Cut& rows, const Cut& columns) {
  GIGACAT_CHECK(image.channels == 1 || image.channels == 3 || image.channels == 4, image.channels, " channels");
  GIGACAT_CHECK(rows.size > 0 && columns.size > 0 && image.height > 0 && image.width > 0, rows.size, " x ",
                columns.size);
  const Taps down = make_taps(image.height, rows, filter);
  const Taps across = make_taps(image.width, columns, filter);
  const int64_t begin = down.first.front(), end = down.first.back() + down.count.back();
  const Image narrow = resample_rows(image, across, begin, end - begin);
  Image out = uninitialised(rows.size, columns.size, image.channels);
  for (int64_t y = 0; y < rows.size; ++y) {
    const auto i = static_cast<size_t>(y);
    resample_column(narrow.row(down.first[i] - begin), columns.size * image.channels, down.of(y), down.count[i],
                    out.row(y));
  }
  return out;
}

Cut all(int64_t size) { return {size, 0, size}; }

}  // namespace

Image resize_bicubic(const Image& image, int64_t height, int64_t width) {
  return resample(image, kBicubic, all(height), all(width));
}

Image center_crop_adm(const Image& image, int64_t size) {
  GIGACAT_CHECK(size > 0 && image.height > 0 && image.width > 0, "crop to ", size);
  if (std::min(image.height, image.width) >= 2 * size) {
    return center_crop_adm(resample(image, kBox, all(image.height / 2), all(image.width / 2)), size);
  }
  const double scale = static_cast<double>(size) / static_cast<double>(std::min(image.height, image.width));
  // Python's round: halves to even, as nearbyint does.
  const auto height = static_cast<int64_t>(std::nearbyint(static_cast<double>(image.height) * scale));
  const auto width = static_cast<int64_t>(std::nearbyint(static_cast<double>(image.width) * scale));
  // Only the pixels that the crop keeps are made.
  return resample(image, kBicubic, {height, (height - size) / 2, size}, {width, (width - size) / 2, size});
}

}  // namespace gigacat::io
