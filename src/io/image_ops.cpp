// Images moved, cut and put side by side.
#include <algorithm>
#include <cmath>

#include "gigacat/core/error.h"
#include "image_internal.h"

namespace gigacat::io {

namespace {

void paste(const Image& from, Image& to, int64_t y, int64_t x) {
  for (int64_t row = 0; row < from.height; ++row) {
    std::copy_n(from.row(row), from.width * from.channels, to.row(y + row) + x * to.channels);
  }
}

}  // namespace

Image crop(const Image& image, int64_t y, int64_t x, int64_t height, int64_t width) {
  GIGACAT_CHECK(y >= 0 && x >= 0 && height > 0 && width > 0 && y + height <= image.height && x + width <= image.width,
                "crop ", height, "x", width, " at ", y, ",", x, " of ", image.height, "x", image.width);
  Image out = Image::filled(height, width, image.channels, 0);
  for (int64_t row = 0; row < height; ++row) {
    std::copy_n(image.row(y + row) + x * image.channels, width * image.channels, out.row(row));
  }
  return out;
}

namespace {

// Half of the pixels left over beside a crop of one axis.
int64_t middle(int64_t length, int64_t kept, bool half_to_even) {
  const int64_t left = length - kept;
  return half_to_even ? static_cast<int64_t>(std::nearbyint(static_cast<double>(left) / 2)) : left / 2;
}

}  // namespace

Image crop_square(const Image& image, bool half_to_even) {
  const int64_t side = std::min(image.height, image.width);
  return crop(image, middle(image.height, side, half_to_even), middle(image.width, side, half_to_even), side, side);
}

Image resize_and_crop_clip(const Image& image, int64_t size) {
  GIGACAT_CHECK(image.height > 0 && image.width > 0, image.height, " x ", image.width);
  const int64_t side = std::min(image.height, image.width);
  const Image covering = resize_bicubic(image, size * image.height / side, size * image.width / side);
  return crop(covering, middle(covering.height, size, true), middle(covering.width, size, true), size, size);
}

// Pixel (y, x) of the result is start + y * down + x * right of the source, counted in pixels.
Image apply_orientation(Image image, int orientation) {
  if (orientation == 1) return image;
  const int64_t h = image.height, w = image.width, last_row = (h - 1) * w, last = h * w - 1;
  struct Walk {
    int64_t start, down, right;
  };
  const Walk walks[] = {{0, w, 1}, {w - 1, w, -1},    {last, -w, -1}, {last_row, -w, 1},
                        {0, 1, w}, {last_row, 1, -w}, {last, -1, -w}, {w - 1, -1, w}};
  GIGACAT_CHECK(orientation >= 1 && orientation <= 8, "orientation ", orientation);
  const Walk walk = walks[orientation - 1];
  Image out = orientation >= 5 ? Image::filled(w, h, image.channels, 0) : Image::filled(h, w, image.channels, 0);
  for (int64_t y = 0; y < out.height; ++y) {
    uint8_t* to = out.row(y);
    for (int64_t x = 0; x < out.width; ++x, to += image.channels) {
      std::copy_n(image.pixels.data() + (walk.start + y * walk.down + x * walk.right) * image.channels, image.channels,
                  to);
    }
  }
  return out;
}

Image flip_horizontal(const Image& image) { return apply_orientation(image, 2); }

Image make_grid(const std::vector<Image>& images, int64_t columns, int64_t gap, uint8_t fill) {
  GIGACAT_CHECK(!images.empty() && columns > 0 && gap >= 0, images.size(), " images in ", columns, " columns");
  const Image& first = images.front();
  const auto count = static_cast<int64_t>(images.size());
  columns = std::min(columns, count);
  const int64_t rows = (count + columns - 1) / columns;
  Image grid =
      Image::filled(rows * (first.height + gap) - gap, columns * (first.width + gap) - gap, first.channels, fill);
  for (int64_t i = 0; i < count; ++i) {
    const Image& image = images[static_cast<size_t>(i)];
    GIGACAT_CHECK(image.height == first.height && image.width == first.width && image.channels == first.channels,
                  "image ", i, " differs in size");
    paste(image, grid, i / columns * (first.height + gap), i % columns * (first.width + gap));
  }
  return grid;
}

Image from_planes(std::span<const float> planes, int64_t channels, int64_t height, int64_t width) {
  GIGACAT_CHECK(channels == 1 || channels == 3, channels, " channels");
  const int64_t plane = height * width;
  GIGACAT_CHECK(static_cast<int64_t>(planes.size()) == channels * plane, planes.size(), " values");
  Image image = Image::filled(height, width, 3, 0);
  for (int64_t c = 0; c < 3; ++c) {
    const float* from = planes.data() + (channels == 3 ? c * plane : 0);
    for (int64_t i = 0; i < plane; ++i) {
      const float value = (from[i] + 1) * 127.5f + 0.5f;
      // Written so that NaN gives 0.
      image.pixels[static_cast<size_t>(3 * i + c)] = static_cast<uint8_t>(value > 0 ? std::min(value, 255.0f) : 0.0f);
    }
  }
  return image;
}

}  // namespace gigacat::io
