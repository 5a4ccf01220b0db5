#include "eval/pyramid.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/random.h"

namespace gigacat::eval {
namespace {

constexpr std::array<float, 5> kTaps = {1.0f / 16, 4.0f / 16, 6.0f / 16, 4.0f / 16, 1.0f / 16};

// The place i, mirrored at the edges of 0..size-1 without repeating them.
int64_t mirrored(int64_t i, int64_t size) {
  if (i < 0) return -i;
  return i < size ? i : 2 * size - 2 - i;
}

// Rows of `plane` [height, width] filtered and halved, transposed: [width / 2, height]. Twice gives a half-size plane.
std::vector<float> halve_rows(const std::vector<float>& plane, int64_t height, int64_t width) {
  std::vector<float> out(static_cast<size_t>(height * width / 2));
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width / 2; ++x) {
      float sum = 0;
      for (int64_t t = 0; t < 5; ++t)
        sum += kTaps[static_cast<size_t>(t)] * plane[static_cast<size_t>(y * width + mirrored(2 * x + t - 2, width))];
      out[static_cast<size_t>(x * height + y)] = sum;
    }
  return out;
}

// Rows of `plane` [height, width] with zeros between, filtered, transposed: [2 width, height]. Twice doubles a plane.
std::vector<float> double_rows(const std::vector<float>& plane, int64_t height, int64_t width) {
  std::vector<float> out(static_cast<size_t>(height * width * 2));
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < 2 * width; ++x) {
      float sum = 0;
      for (int64_t t = 0; t < 5; ++t)
        if (const int64_t place = mirrored(x + t - 2, 2 * width); place % 2 == 0)
          sum += 2 * kTaps[static_cast<size_t>(t)] * plane[static_cast<size_t>(y * width + place / 2)];
      out[static_cast<size_t>(x * height + y)] = sum;
    }
  return out;
}

class PyramidNetwork : public FeatureNetwork {
 public:
  PyramidNetwork(int64_t size, int64_t count) : size_(size), count_(count), sides_(pyramid_sides(size)) {}

  std::string weights() const override { return ""; }
  std::array<int64_t, 3> input_shape() const override { return {std::ssize(sides_), count_, kPatchValues}; }

  void prepare(const io::Image& image, int64_t index, float* out) const override {
    const bool fits = image.height == size_ && image.width == size_;
    const io::Image square = fits ? image : io::resize_lanczos(io::crop_square(image, false), size_, size_);
    const Stream places(0, "eval.pyramid");
    std::vector<int64_t> corners(static_cast<size_t>(2 * count_));
    for (int64_t channel = 0; channel < 3; ++channel) {
      const int64_t source = square.channels == 3 ? channel : 0;
      std::vector<float> plane(static_cast<size_t>(size_ * size_));
      for (size_t i = 0; i < plane.size(); ++i)
        plane[i] = square.pixels[i * static_cast<size_t>(square.channels) + static_cast<size_t>(source)];
      const auto levels = laplacian_pyramid(std::move(plane), size_);
      for (size_t level = 0; level < levels.size(); ++level) {
        const int64_t side = sides_[level];
        places.integers(level, static_cast<uint64_t>(index), 0, side - kPatchSide, corners);
        float* patches = out + static_cast<int64_t>(level) * count_ * kPatchValues + channel * kPatchSide * kPatchSide;
        for (int64_t p = 0; p < count_; ++p)
          for (int64_t y = 0; y < kPatchSide; ++y) {
            const int64_t row = corners[static_cast<size_t>(2 * p)] + y,
                          column = corners[static_cast<size_t>(2 * p + 1)];
            std::copy_n(levels[level].data() + row * side + column, kPatchSide,
                        patches + p * kPatchValues + y * kPatchSide);
          }
      }
    }
  }

  FeatureMap run(const at::Tensor& planes) override { return {{"patches", planes.flatten(1)}}; }

 private:
  int64_t size_, count_;
  std::vector<int64_t> sides_;
};

}  // namespace

std::vector<int64_t> pyramid_sides(int64_t size) {
  std::vector<int64_t> sides;
  int64_t side = size;
  for (; side > kCoarsest && side % 2 == 0; side /= 2) sides.push_back(side);
  GIGACAT_CHECK(side == kCoarsest, size);
  sides.push_back(side);
  return sides;
}

std::vector<std::vector<float>> laplacian_pyramid(std::vector<float> plane, int64_t size) {
  std::vector<std::vector<float>> levels;
  for (const int64_t side : pyramid_sides(size)) {
    if (side == kCoarsest) break;
    const int64_t half = side / 2;
    std::vector<float> small = halve_rows(halve_rows(plane, side, side), half, side);
    const std::vector<float> large = double_rows(double_rows(small, half, half), side, half);
    for (size_t i = 0; i < plane.size(); ++i) plane[i] -= large[i];
    levels.push_back(std::exchange(plane, std::move(small)));
  }
  levels.push_back(std::move(plane));
  return levels;
}

std::unique_ptr<FeatureNetwork> make_pyramid_network(int64_t size, int64_t count) {
  return std::make_unique<PyramidNetwork>(size, count);
}

}  // namespace gigacat::eval
