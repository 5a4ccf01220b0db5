#include "data/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/fixtures.h"

namespace gigacat::data {
namespace {

using testing::HasSubstr;

DataConfig sized(int64_t height, int64_t width, const std::string& crop = "adm") {
  DataConfig config = config_for("x", 0);
  config.height = height;
  config.width = width;
  config.crop = crop;
  return config;
}

std::vector<uint8_t> planes_of(const std::string& png, const DataConfig& config, int64_t position = 0) {
  std::vector<uint8_t> planes(config.channels * config.target_height() * config.target_width());
  decode_sample({.name = "sample", .bytes = png}, config, 1, position, planes.data());
  return planes;
}

// Left half one colour, right half another.
io::Image halves(int64_t height, int64_t width, uint8_t left, uint8_t right) {
  io::Image image{.height = height, .width = width, .channels = 3};
  for (int64_t i = 0; i < height * width; ++i)
    image.pixels.insert(image.pixels.end(), 3, i % width < width / 2 ? left : right);
  return image;
}

TEST(Prepare, PlanesAreChannelFirst) {
  const std::vector<uint8_t> planes = planes_of(pattern_png(4, 6), sized(4, 6));
  for (int64_t y = 0; y < 4; ++y) {
    for (int64_t x = 0; x < 6; ++x) {
      EXPECT_EQ(planes[y * 6 + x], x * 7);
      EXPECT_EQ(planes[24 + y * 6 + x], y * 11);
      EXPECT_EQ(planes[48 + y * 6 + x], x + y);
    }
  }
}

TEST(Prepare, GreyByLuma) {
  DataConfig config = sized(2, 2);
  config.channels = 1;
  EXPECT_EQ(planes_of(solid_png(2, 2, 255, 255, 255), config)[3], 255);
  EXPECT_EQ(planes_of(solid_png(2, 2, 255, 0, 0), config)[0], 76);
  EXPECT_EQ(planes_of(solid_png(2, 2, 0, 255, 0), config)[0], 150);
  EXPECT_EQ(planes_of(solid_png(2, 2, 0, 0, 255), config)[0], 29);
}

TEST(Prepare, SquareCentreCropIsGuidedDiffusions) {
  const DataConfig config = sized(8, 8);
  const io::Image image = decode(pattern_png(37, 21), "x", config);
  EXPECT_EQ(fit(image, config, 0, 0).pixels, io::center_crop_adm(image, 8).pixels);
}

TEST(Prepare, OblongCropCoversAndCentres) {
  const io::Image wide = fit(halves(10, 40, 0, 200), sized(10, 20), 0, 0);
  EXPECT_EQ(wide.height, 10);
  EXPECT_EQ(wide.width, 20);
  EXPECT_EQ(wide.row(5)[0], 0);
  EXPECT_EQ(wide.row(5)[19 * 3], 200);
  const io::Image halved = fit(halves(40, 40, 0, 200), sized(10, 20), 0, 0);
  EXPECT_EQ(halved.height, 10);
  EXPECT_EQ(halved.width, 20);
  EXPECT_EQ(halved.row(0)[0], 0);
  EXPECT_EQ(halved.row(9)[19 * 3], 200);
}

TEST(Prepare, ResizeIgnoresTheAspect) {
  const io::Image image = fit(halves(30, 10, 50, 150), sized(6, 12, "resize"), 0, 0);
  EXPECT_EQ(image.height, 6);
  EXPECT_EQ(image.width, 12);
  EXPECT_EQ(image.row(3)[0], 50);
  EXPECT_EQ(image.row(3)[11 * 3], 150);
}

TEST(Prepare, NoneWantsTheSize) {
  EXPECT_THAT(error_of<Error>([] { planes_of(pattern_png(4, 5), sized(4, 6, "none")); }), HasSubstr("5x4"));
  EXPECT_EQ(planes_of(pattern_png(4, 6), sized(4, 6, "none")), planes_of(pattern_png(4, 6), sized(4, 6)));
}

TEST(Prepare, RandomCropVariesWithThePlaceAlone) {
  const DataConfig config = sized(8, 12, "random");
  const std::string png = pattern_png(40, 50);
  std::set<std::string> different;
  for (int64_t position = 0; position < 40; ++position) {
    const std::vector<uint8_t> planes = planes_of(png, config, position);
    different.emplace(planes.begin(), planes.end());
    EXPECT_EQ(planes_of(png, config, position), planes);
  }
  EXPECT_GT(different.size(), 20u);
}

TEST(Prepare, WindowCutsTheImageAtItsOwnSize) {
  const DataConfig config = sized(8, 12, "window");
  std::set<std::pair<int, int>> corners;
  for (int64_t position = 0; position < 40; ++position) {
    const std::vector<uint8_t> planes = planes_of(pattern_png(20, 30), config, position);
    const int x0 = planes[0] / 7, y0 = planes[96] / 11;  // the pattern says where a pixel stood
    EXPECT_LE(x0, 18);
    EXPECT_LE(y0, 12);
    for (int x = 0; x < 12; ++x) ASSERT_EQ(planes[static_cast<size_t>(x)], 7 * (x0 + x));
    corners.emplace(x0, y0);
  }
  EXPECT_GT(corners.size(), 20u);
  // A small image is enlarged until the window fits.
  EXPECT_EQ(planes_of(pattern_png(4, 6), config).size(), 3u * 8 * 12);
}

TEST(Prepare, FlipMirrorsHalfOfThePlaces) {
  DataConfig config = sized(4, 6);
  const std::string png = pattern_png(4, 6);
  const std::vector<uint8_t> plain = planes_of(png, config);
  config.flip = true;
  int flipped = 0;
  for (int64_t position = 0; position < 400; ++position) {
    const std::vector<uint8_t> planes = planes_of(png, config, position);
    if (planes == plain) continue;
    ++flipped;
    for (int64_t y = 0; y < 12; ++y) {
      for (int64_t x = 0; x < 6; ++x) ASSERT_EQ(planes[y * 6 + x], plain[y * 6 + 5 - x]);
    }
  }
  EXPECT_GT(flipped, 150);
  EXPECT_LT(flipped, 250);
}

TEST(Prepare, AlphaLiesOnTheBackground) {
  io::Image clear{.height = 2, .width = 2, .channels = 4, .pixels = std::vector<uint8_t>(16, 0)};
  DataConfig config = sized(2, 2);
  EXPECT_EQ(planes_of(io::encode_png(clear), config)[0], 255);
  config.background = "black";
  EXPECT_EQ(planes_of(io::encode_png(clear), config)[0], 0);
}

TEST(Prepare, LargeImagesAreRefused) {
  DataConfig config = sized(4, 4);
  config.max_pixels = 1000;
  EXPECT_EQ(planes_of(pattern_png(10, 100), config).size(), 48u);
  EXPECT_THROW(planes_of(pattern_png(11, 100), config), Error);
  // 1 x 900 would become 16 x 14,400 on its way to 16 x 16.
  config = sized(16, 16);
  config.max_pixels = 1000;
  EXPECT_THAT(error_of<Error>([&] { planes_of(pattern_png(1, 900), config); }), HasSubstr("data.max_pixels"));
  config.crop = "random";
  EXPECT_THAT(error_of<Error>([&] { planes_of(pattern_png(900, 1), config); }), HasSubstr("data.max_pixels"));
}

}  // namespace
}  // namespace gigacat::data
