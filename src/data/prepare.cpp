#include "data/prepare.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "gigacat/core/error.h"
#include "gigacat/core/random.h"

namespace gigacat::data {

namespace {

// A side one pixel wide may pass the limit only once it is enlarged.
void check_enlarged(const io::Image& image, double scale, const DataConfig& config) {
  const double pixels = static_cast<double>(image.height) * scale * static_cast<double>(image.width) * scale;
  if (pixels > static_cast<double>(config.max_pixels))
    fail(image.width, "x", image.height, " pixels would be enlarged beyond data.max_pixels = ", config.max_pixels);
}

// Scale at which `image` just covers height x width.
double cover_scale(const io::Image& image, int64_t height, int64_t width) {
  return std::max(static_cast<double>(height) / static_cast<double>(image.height),
                  static_cast<double>(width) / static_cast<double>(image.width));
}

// Sides round to the even neighbour, as Python's round does in the reference.
io::Image scaled(const io::Image& image, double scale, int64_t height, int64_t width) {
  const auto side = [scale](int64_t length) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(length) * scale));
  };
  return io::resize_bicubic(image, std::max(height, side(image.height)), std::max(width, side(image.width)));
}

io::Image centre_crop(const io::Image& image, int64_t height, int64_t width, const DataConfig& config) {
  const double scale = cover_scale(image, height, width);
  check_enlarged(image, scale, config);
  if (height == width) return io::center_crop_adm(image, height);
  const io::Image covering = scaled(image, scale, height, width);
  return io::crop(covering, (covering.height - height) / 2, (covering.width - width) / 2, height, width);
}

// guided-diffusion's random_crop_arr: the short side becomes one of size .. size / 0.8, then a window anywhere.
io::Image random_crop(const io::Image& image, int64_t height, int64_t width, const DataConfig& config, uint64_t seed,
                      int64_t position) {
  const int64_t side = std::min(height, width);
  const Stream sizes(seed, "data.crop.size"), places(seed, "data.crop");
  int64_t enlarged = 0, y = 0, x = 0;
  const auto place = static_cast<uint64_t>(position);
  sizes.integers(0, place, side, (side * 5 + 3) / 4, {&enlarged, 1});
  const double scale = cover_scale(image, height, width) * static_cast<double>(enlarged) / static_cast<double>(side);
  check_enlarged(image, scale, config);
  const io::Image covering = scaled(image, scale, height, width);
  places.integers(0, place, 0, covering.height - height, {&y, 1});
  places.integers(1, place, 0, covering.width - width, {&x, 1});
  return io::crop(covering, y, x, height, width);
}

// A window anywhere of the image at its own size.
io::Image random_window(const io::Image& image, int64_t height, int64_t width, const DataConfig& config, uint64_t seed,
                        int64_t position) {
  if (const double scale = cover_scale(image, height, width); scale > 1) {
    check_enlarged(image, scale, config);
    return random_window(scaled(image, scale, height, width), height, width, config, seed, position);
  }
  const Stream places(seed, "data.crop");
  const auto place = static_cast<uint64_t>(position);
  int64_t y = 0, x = 0;
  places.integers(0, place, 0, image.height - height, {&y, 1});
  places.integers(1, place, 0, image.width - width, {&x, 1});
  return io::crop(image, y, x, height, width);
}

bool flips(const DataConfig& config, uint64_t seed, int64_t position) {
  return config.flip && (Stream(seed, "data.flip").bits(0, static_cast<uint64_t>(position)) & 1) != 0;
}

void finish(io::Image image, const DataConfig& config, uint64_t seed, int64_t position, uint8_t* planes) {
  to_planes(fit(std::move(image), config, seed, position), config.channels, flips(config, seed, position), planes);
}

// Luma as PIL's convert("L"): ITU-R 601 in 16-bit fixed point.
uint8_t luma(const uint8_t* rgb) {
  return static_cast<uint8_t>((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 0x8000u) >> 16);
}

}  // namespace

io::Image decode(const std::string& bytes, const std::string& name, const DataConfig& config) {
  io::DecodeOptions options;
  options.background = config.background == "black" ? 0 : 255;
  options.most_pixels = static_cast<uint64_t>(config.max_pixels);
  return io::decode_image(std::as_bytes(std::span<const char>(bytes)), name, options);
}

io::Image fit(io::Image image, const DataConfig& config, uint64_t seed, int64_t position) {
  const int64_t height = config.target_height(), width = config.target_width();
  if (config.crop == "window") return random_window(image, height, width, config, seed, position);
  if (config.crop == "random") return random_crop(image, height, width, config, seed, position);
  if (image.height == height && image.width == width) return image;
  if (config.crop == "none")
    fail("is ", image.width, "x", image.height, " pixels, wanted ", width, "x", height, " (data.crop = none)");
  if (config.crop == "resize") return io::resize_bicubic(image, height, width);
  return centre_crop(image, height, width, config);
}

void to_planes(const io::Image& image, int64_t channels, bool flip, uint8_t* planes) {
  GIGACAT_CHECK(image.channels == 1 || image.channels == 3, image.channels);
  const int64_t height = image.height, width = image.width, from = image.channels;
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* row = image.row(y) + (flip ? (width - 1) * from : 0);
    const int64_t step = flip ? -from : from;
    for (int64_t c = 0; c < channels; ++c) {
      uint8_t* out = planes + (c * height + y) * width;
      const uint8_t* pixel = row;
      if (channels == 1 && from == 3) {
        for (int64_t x = 0; x < width; ++x, pixel += step) out[x] = luma(pixel);
      } else {
        const int64_t channel = from == 1 ? 0 : c;
        for (int64_t x = 0; x < width; ++x, pixel += step) out[x] = pixel[channel];
      }
    }
  }
}

void decode_sample(const RawSample& sample, const DataConfig& config, uint64_t seed, int64_t position,
                   uint8_t* planes) {
  finish(decode(sample.bytes, sample.name, config), config, seed, position, planes);
}

void place_pixels(const RawSample& sample, const std::vector<int64_t>& shape, const DataConfig& config, uint64_t seed,
                  int64_t position, uint8_t* planes) {
  GIGACAT_CHECK(shape.size() == 3 && shape[0] * shape[1] * shape[2] == static_cast<int64_t>(sample.bytes.size()),
                sample.name);
  io::Image image{.height = shape[0], .width = shape[1], .channels = shape[2]};
  image.pixels.assign(sample.bytes.begin(), sample.bytes.end());
  finish(std::move(image), config, seed, position, planes);
}

void decode_raw(const RawSample& sample, const DataConfig& config, uint8_t* planes) {
  DataConfig square = config;
  square.height = square.width = config.raw_resolution;
  square.crop = "adm";
  to_planes(fit(decode(sample.raw_bytes, sample.name, config), square, 0, 0), 3, false, planes);
}

}  // namespace gigacat::data
