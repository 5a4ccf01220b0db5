// PIL's resampling of 8-bit images, to the bit: one pass for each axis, rounding to 8 bits after each, weights in
// 22-bit fixed point. Source: Pillow, "ImagingResample" (method); guided-diffusion image_datasets.center_crop_arr.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "gigacat/core/error.h"
#include "gigacat/io/image.h"
#include "io/resample_taps.h"

namespace gigacat::io {

namespace {

constexpr int kWeightBits = 22;

// Taps with weights in fixed point.
struct FixedTaps {
  explicit FixedTaps(const Taps& taps) : first(taps.first), count(taps.count), stride(taps.stride) {
    weights.reserve(taps.weights.size());
    for (const double weight : taps.weights) {
      const double fixed = weight * (1 << kWeightBits);
      weights.push_back(static_cast<int32_t>(fixed + (fixed < 0 ? -0.5 : 0.5)));
    }
  }
  const int32_t* of(int64_t i) const { return weights.data() + static_cast<size_t>(i) * stride; }

  std::vector<int32_t> first, count, weights;
  size_t stride;
};

// Bytes that are weighted at once: their sums stay in registers.
constexpr int kBlock = 32;

[[gnu::always_inline]] inline uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

// `to` = weighted sum of `count` lines that lie `stride` apart, for the bytes from `i` on that fill whole blocks.
template <int block>
[[gnu::always_inline]] inline int64_t weigh_blocks(const uint8_t* from, int64_t stride, const int32_t* weights,
                                                   int32_t count, uint8_t* to, int64_t bytes, int64_t i) {
  for (; i + block <= bytes; i += block) {
    int32_t sums[block];
    for (int j = 0; j < block; ++j) sums[j] = 1 << (kWeightBits - 1);
    for (int32_t k = 0; k < count; ++k) {
      const uint8_t* line = from + k * stride + i;
      for (int j = 0; j < block; ++j) sums[j] += weights[k] * line[j];
    }
    for (int j = 0; j < block; ++j) to[i + j] = to_byte(sums[j]);
  }
  return i;
}

[[gnu::always_inline]] inline void weigh_any(const uint8_t* from, int64_t stride, const int32_t* weights, int32_t count,
                                             uint8_t* to, int64_t bytes) {
  const int64_t done = weigh_blocks<kBlock>(from, stride, weights, count, to, bytes, 0);
  weigh_blocks<1>(from, stride, weights, count, to, bytes, done);
}

#if defined(__x86_64__)
const bool kHasAvx2 = __builtin_cpu_supports("avx2");

__attribute__((target("avx2"))) void weigh_avx2(const uint8_t* from, int64_t stride, const int32_t* weights,
                                                int32_t count, uint8_t* to, int64_t bytes) {
  weigh_any(from, stride, weights, count, to, bytes);
}
#else
constexpr bool kHasAvx2 = false;
constexpr auto weigh_avx2 = weigh_any;
#endif

void weigh(const uint8_t* from, int64_t stride, const int32_t* weights, int32_t count, uint8_t* to, int64_t bytes) {
  if (kHasAvx2) return weigh_avx2(from, stride, weights, count, to, bytes);
  weigh_any(from, stride, weights, count, to, bytes);
}

Image uninitialised(int64_t height, int64_t width, int64_t channels) {
  Image image{.height = height, .width = width, .channels = channels, .pixels = {}};
  image.pixels.resize(static_cast<size_t>(height * width * channels));
  return image;
}

// Results of `taps` along x for rows `begin` to `begin + count`. As many rows as a block holds are put upright, so that
// a pixel of all of them is one line, and the sum over pixels is one over lines.
template <int channels>
Image rows_of(const Image& image, const FixedTaps& taps, int64_t begin, int64_t count) {
  constexpr int64_t kRows = kBlock / channels;
  const auto results = static_cast<int64_t>(taps.first.size());
  Image out = uninitialised(count, results, channels);
  std::vector<uint8_t> upright(static_cast<size_t>(image.width * kBlock)), made(static_cast<size_t>(results * kBlock));
  for (int64_t y = 0; y < count; y += kRows) {
    const int64_t rows = std::min(kRows, count - y);
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* row = image.row(begin + y + r);
      uint8_t* lines = upright.data() + r * channels;
      for (int64_t x = 0; x < image.width; ++x) std::memcpy(lines + x * kBlock, row + x * channels, channels);
    }
    for (int64_t x = 0; x < results; ++x) {
      const auto i = static_cast<size_t>(x);
      weigh(upright.data() + taps.first[i] * kBlock, kBlock, taps.of(x), taps.count[i], made.data() + x * kBlock,
            kBlock);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* lines = made.data() + r * channels;
      uint8_t* row = out.row(y + r);
      for (int64_t x = 0; x < results; ++x) std::memcpy(row + x * channels, lines + x * kBlock, channels);
    }
  }
  return out;
}

Image resample_rows(const Image& image, const FixedTaps& taps, int64_t begin, int64_t count) {
  switch (image.channels) {
    case 1:
      return rows_of<1>(image, taps, begin, count);
    case 3:
      return rows_of<3>(image, taps, begin, count);
    default:
      return rows_of<4>(image, taps, begin, count);
  }
}

// Results of `taps` along y; row 0 of the image is row `begin` of what the taps count in.
Image resample_columns(const Image& image, const FixedTaps& taps, int64_t begin) {
  const auto results = static_cast<int64_t>(taps.first.size());
  Image out = uninitialised(results, image.width, image.channels);
  for (int64_t y = 0; y < results; ++y) {
    const auto i = static_cast<size_t>(y);
    const int64_t bytes = image.width * image.channels;
    weigh(image.row(taps.first[i] - begin), bytes, taps.of(y), taps.count[i], out.row(y), bytes);
  }
  return out;
}

// Which pass comes first shows in the rounding between them. Source: Pillow 13 (older ones take the horizontal pass
// first always).
bool is_vertical_first(const Image& image, const Cut& rows, const Cut& columns) {
  const int64_t lost_rows = image.height - rows.whole, lost_columns = image.width - columns.whole;
  return lost_rows > 0 && lost_rows > 2 * lost_columns;
}

Image resample(const Image& image, const Filter& filter, const Cut& rows, const Cut& columns) {
  GIGACAT_CHECK(image.channels == 1 || image.channels == 3 || image.channels == 4, image.channels, " channels");
  GIGACAT_CHECK(rows.size > 0 && columns.size > 0 && image.height > 0 && image.width > 0, rows.size, " x ",
                columns.size);
  const FixedTaps down(make_taps(image.height, rows, filter));
  const FixedTaps across(make_taps(image.width, columns, filter));
  if (is_vertical_first(image, rows, columns)) {
    return resample_rows(resample_columns(image, down, 0), across, 0, rows.size);
  }
  const int64_t begin = down.first.front(), end = down.first.back() + down.count.back();
  return resample_columns(resample_rows(image, across, begin, end - begin), down, begin);
}

Cut all(int64_t size) { return {size, 0, size}; }

}  // namespace

Image resize_bicubic(const Image& image, int64_t height, int64_t width) {
  return resample(image, kBicubic, all(height), all(width));
}

Image resize_lanczos(const Image& image, int64_t height, int64_t width) {
  return resample(image, kLanczos, all(height), all(width));
}

Image resize_box(const Image& image, int64_t height, int64_t width) {
  return resample(image, kBox, all(height), all(width));
}

Image resize_bilinear(const Image& image, int64_t height, int64_t width) {
  return resample(image, kBilinear, all(height), all(width));
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
