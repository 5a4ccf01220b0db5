#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "image_helpers.h"

namespace gigacat::io {
namespace {

using ::testing::ElementsAre;

TEST(Ops, Crop) {
  const Image image{3, 3, 1, {0, 1, 2, 3, 4, 5, 6, 7, 8}};
  EXPECT_THAT(crop(image, 1, 0, 2, 2).pixels, ElementsAre(3, 4, 6, 7));
  EXPECT_EQ(crop(image, 0, 0, 3, 3).pixels, image.pixels);
  EXPECT_THROW(crop(image, 2, 0, 2, 2), InternalError);
  EXPECT_THROW(crop(image, -1, 0, 2, 2), InternalError);
  EXPECT_THROW(crop(image, 0, 0, 0, 2), InternalError);
}

TEST(Ops, Flip) {
  const Image image{1, 3, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9}};
  EXPECT_THAT(flip_horizontal(image).pixels, ElementsAre(7, 8, 9, 4, 5, 6, 1, 2, 3));
  const Image large = gradient(11, 14, 3);
  EXPECT_EQ(flip_horizontal(flip_horizontal(large)).pixels, large.pixels);
}

TEST(Ops, Grid) {
  const std::vector<Image> images{{1, 1, 1, {1}}, {1, 1, 1, {2}}, {1, 1, 1, {3}}};
  const Image grid = make_grid(images, 2, 1, 9);
  EXPECT_EQ(grid.height, 3);
  EXPECT_EQ(grid.width, 3);
  EXPECT_THAT(grid.pixels, ElementsAre(1, 9, 2, 9, 9, 9, 3, 9, 9));
  EXPECT_EQ(make_grid(images, 8, 2).width, 7);  // not wider than the images
  EXPECT_THAT(make_grid(images, 1, 0).pixels, ElementsAre(1, 2, 3));
  EXPECT_THROW(make_grid({{1, 1, 1, {1}}, {1, 2, 1, {1, 2}}}, 2), InternalError);
  EXPECT_THROW(make_grid({}, 2), InternalError);
}

TEST(Ops, CaptionsStandBesideTheirRows) {
  const Image tile = Image::filled(32, 32, 3, 128);
  const Image grid = make_grid({tile, tile, tile, tile}, 2);
  const Image out = caption_rows(grid, {"red heart", ""});
  EXPECT_EQ(out.height, grid.height);
  const int64_t left = out.width - grid.width;
  ASSERT_GT(left, 40);
  const auto darkest = [&](int64_t first, int64_t last) {
    int found = 255;
    for (int64_t y = first; y < last; ++y)
      for (int64_t x = 0; x < 3 * left; ++x) found = std::min<int>(found, out.row(y)[x]);
    return found;
  };
  EXPECT_LT(darkest(0, 32), 100);   // letters
  EXPECT_EQ(darkest(34, 66), 255);  // an empty caption
  EXPECT_EQ(out.row(0)[3 * left], 128);
  // A long caption takes the lines that its row has, and no more width than its longest.
  const Image narrow = caption_rows(make_grid({tile, tile}, 1), {std::string(400, 'x'), "h\xC3\xA9 \xF0\x9F\x90\x88"});
  EXPECT_LT(narrow.width, 32 + 300);
  EXPECT_THROW(caption_rows(grid, {"a", "b", "c"}), InternalError);
}

TEST(Ops, FromPlanes) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values{-1, 1, 0, 2, -3, nan};
  EXPECT_THAT(from_planes(values, 1, 1, 6).pixels,
              ElementsAre(0, 0, 0, 255, 255, 255, 128, 128, 128, 255, 255, 255, 0, 0, 0, 0, 0, 0));
  EXPECT_THAT(from_planes(values, 3, 1, 2).pixels, ElementsAre(0, 128, 0, 255, 255, 0));
  EXPECT_THROW(from_planes(values, 2, 1, 3), InternalError);
  EXPECT_THROW(from_planes(values, 1, 2, 2), InternalError);
}

TEST(Ops, FromPlanesUndoesTheUsualScaling) {
  std::vector<float> values;
  for (int i = 0; i < 256; ++i) values.push_back(static_cast<float>(i) / 127.5f - 1);
  const Image image = from_planes(values, 1, 16, 16);
  for (size_t i = 0; i < 256; ++i) EXPECT_EQ(image.pixels[3 * i], i);
}

}  // namespace
}  // namespace gigacat::io
