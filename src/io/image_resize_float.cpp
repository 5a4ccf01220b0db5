// Resampling to float planes: along x for every source row that counts, then along y.
#include <algorithm>
#include <cstring>

#include "gigacat/core/error.h"
#include "gigacat/io/image.h"
#include "io/resample_taps.h"

namespace gigacat::io {

namespace {

// Source rows that are resampled along x at once: a pixel of all of them is one vector.
constexpr int64_t kRows = 8;

// Weights as floats, laid out as in Taps.
struct FloatTaps {
  explicit FloatTaps(Taps taps) : taps_(std::move(taps)), weights_(taps_.weights.begin(), taps_.weights.end()) {}
  const float* weights(int64_t i) const { return weights_.data() + static_cast<size_t>(i) * taps_.stride; }
  int64_t first(int64_t i) const { return taps_.first[static_cast<size_t>(i)]; }
  int64_t count(int64_t i) const { return taps_.count[static_cast<size_t>(i)]; }
  int64_t results() const { return taps_.results(); }
  // Source pixels [begin, end) that any result needs.
  int64_t begin() const { return *std::min_element(taps_.first.begin(), taps_.first.end()); }
  int64_t end() const {
    int64_t last = 0;
    for (int64_t i = 0; i < results(); ++i) last = std::max(last, first(i) + count(i));
    return last;
  }

 private:
  Taps taps_;
  std::vector<float> weights_;
};

// Rows y .. y + rows of the image, upright: lines[(x * channels + c) * kRows + row].
void stand_up(const Image& image, int64_t y, int64_t rows, float* lines) {
  const int64_t length = image.width * image.channels;
  for (int64_t r = 0; r < rows; ++r) {
    const uint8_t* row = image.row(y + r);
    for (int64_t i = 0; i < length; ++i) lines[i * kRows + r] = row[i];
  }
}

// Results along x of kRows upright rows: out[(c * results + x) * kRows + row].
[[gnu::always_inline]] inline void weigh_across(const float* lines, int64_t channels, const FloatTaps& taps,
                                                float* out) {
  const int64_t results = taps.results();
  for (int64_t x = 0; x < results; ++x) {
    const float* weights = taps.weights(x);
    const int64_t count = taps.count(x);
    for (int64_t c = 0; c < channels; ++c) {
      const float* line = lines + (taps.first(x) * channels + c) * kRows;
      float sums[kRows] = {};
      for (int64_t k = 0; k < count; ++k)
        for (int64_t r = 0; r < kRows; ++r) sums[r] += weights[k] * line[k * channels * kRows + r];
      std::memcpy(out + (c * results + x) * kRows, sums, sizeof sums);
    }
  }
}

// One result row: the weighted sum of `count` rows of `width`, clipped to what a pixel can be.
[[gnu::always_inline]] inline void weigh_down(const float* rows, int64_t width, const float* weights, int64_t count,
                                              float* out) {
  for (int64_t x = 0; x < width; ++x) out[x] = weights[0] * rows[x];
  for (int64_t k = 1; k < count; ++k)
    for (int64_t x = 0; x < width; ++x) out[x] += weights[k] * rows[k * width + x];
  for (int64_t x = 0; x < width; ++x) out[x] = std::min(std::max(out[x], 0.0f), 255.0f);
}

#if defined(__x86_64__)
const bool kHasAvx2AndFma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");

__attribute__((target("avx2,fma"))) void weigh_across_avx2(const float* lines, int64_t channels, const FloatTaps& taps,
                                                           float* out) {
  weigh_across(lines, channels, taps, out);
}

__attribute__((target("avx2,fma"))) void weigh_down_avx2(const float* rows, int64_t width, const float* weights,
                                                         int64_t count, float* out) {
  weigh_down(rows, width, weights, count, out);
}
#else
constexpr bool kHasAvx2AndFma = false;
constexpr auto weigh_across_avx2 = weigh_across;
constexpr auto weigh_down_avx2 = weigh_down;
#endif

// Rows begin .. end of the image resampled along x: planes [C, end - begin, results].
std::vector<float> resample_across(const Image& image, const FloatTaps& taps, int64_t begin, int64_t end) {
  const int64_t channels = image.channels, results = taps.results(), height = end - begin;
  std::vector<float> lines(static_cast<size_t>(image.width * channels * kRows));
  std::vector<float> made(static_cast<size_t>(results * channels * kRows));
  std::vector<float> planes(static_cast<size_t>(channels * height * results));
  for (int64_t y = 0; y < height; y += kRows) {
    const int64_t rows = std::min(kRows, height - y);
    stand_up(image, begin + y, rows, lines.data());
    kHasAvx2AndFma ? weigh_across_avx2(lines.data(), channels, taps, made.data())
                   : weigh_across(lines.data(), channels, taps, made.data());
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t r = 0; r < rows; ++r) {
        float* row = planes.data() + (c * height + y + r) * results;
        const float* from = made.data() + c * results * kRows + r;
        for (int64_t x = 0; x < results; ++x) row[x] = from[x * kRows];
      }
  }
  return planes;
}

Taps taps_of(Resampling method, int64_t source, int64_t results) {
  const Cut whole{results, 0, results};
  switch (method) {
    case Resampling::tf1_bilinear:
      return linear_taps(source, results, /*half_pixel=*/false);
    case Resampling::bilinear:
      return linear_taps(source, results, /*half_pixel=*/true);
    case Resampling::bicubic:
      return make_taps(source, whole, kBicubic);
    case Resampling::lanczos:
      return make_taps(source, whole, kLanczos);
    case Resampling::box:
      return make_taps(source, whole, kBox);
  }
  fail<InternalError>("resampling ", static_cast<int>(method));
}

}  // namespace

void resize_planes(const Image& image, Resampling method, int64_t height, int64_t width, std::span<float> planes) {
  GIGACAT_CHECK(image.channels == 1 || image.channels == 3, image.channels, " channels");
  GIGACAT_CHECK(height > 0 && width > 0 && image.height > 0 && image.width > 0, height, " x ", width);
  GIGACAT_CHECK(std::ssize(planes) == 3 * height * width, planes.size(), " values");
  const FloatTaps across(taps_of(method, image.width, width)), down(taps_of(method, image.height, height));
  const int64_t begin = down.begin(), rows = down.end() - begin, plane = height * width;
  const std::vector<float> wide = resample_across(image, across, begin, begin + rows);
  for (int64_t c = 0; c < image.channels; ++c)
    for (int64_t y = 0; y < height; ++y) {
      const float* from = wide.data() + (c * rows + down.first(y) - begin) * width;
      float* to = planes.data() + c * plane + y * width;
      kHasAvx2AndFma ? weigh_down_avx2(from, width, down.weights(y), down.count(y), to)
                     : weigh_down(from, width, down.weights(y), down.count(y), to);
    }
  for (int64_t c = image.channels; c < 3; ++c) std::copy_n(planes.data(), plane, planes.data() + c * plane);
}

}  // namespace gigacat::io
