#include <algorithm>
#include <cmath>

#include "gigacat/io/enlarge.h"

namespace gigacat::io {
namespace {

constexpr int64_t kSmallestSide = 96, kLargestGrid = 2048;  // px

}  // namespace

Image enlarge(const Image& image, int64_t factor) {
  GIGACAT_CHECK(factor >= 1, "factor ", factor);
  if (factor == 1) return image;
  Image out = Image::filled(image.height * factor, image.width * factor, image.channels, 0);
  for (int64_t y = 0; y < out.height; ++y) {
    uint8_t* to = out.row(y);
    if (y % factor > 0) {
      std::copy_n(out.row(y - 1), out.width * out.channels, to);
      continue;
    }
    const uint8_t* from = image.row(y / factor);
    for (int64_t x = 0; x < out.width; ++x, to += image.channels)
      std::copy_n(from + x / factor * image.channels, image.channels, to);
  }
  return out;
}

Image enlarged_grid(const std::vector<Image>& images, int64_t columns) {
  GIGACAT_CHECK(!images.empty() && columns > 0, images.size(), " images in ", columns, " columns");
  const int64_t count = std::ssize(images), across = std::min(columns, count), down = (count + across - 1) / across;
  const int64_t height = std::max<int64_t>(1, images.front().height),
                width = std::max<int64_t>(1, images.front().width);
  const int64_t wanted = (kSmallestSide + std::min(height, width) - 1) / std::min(height, width);
  const int64_t most = kLargestGrid / std::max(across * width, down * height);
  const int64_t factor = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, most));
  std::vector<Image> large;
  for (const Image& image : images) large.push_back(enlarge(image, factor));
  return make_grid(large, columns);
}

}  // namespace gigacat::io
