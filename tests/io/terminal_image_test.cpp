#include "gigacat/io/terminal_image.h"

#include <gmock/gmock.h>

#include "gigacat/core/error.h"
#include "gigacat/io/enlarge.h"

namespace gigacat::io {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Two rows: red, green; blue, white.
Image four_pixels() { return {2, 2, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}}; }

TEST(HalfBlocks, AreTwoPixelsACharacter) {
  EXPECT_EQ(half_blocks({four_pixels()}, TerminalColours::all),
            "\033[38;2;255;0;0;48;2;0;0;255m▀\033[38;2;0;255;0;48;2;255;255;255m▀\033[0m\n");
  EXPECT_EQ(half_blocks({four_pixels()}, TerminalColours::cube),
            "\033[38;5;196;48;5;21m▀\033[38;5;46;48;5;231m▀\033[0m\n");
}

TEST(HalfBlocks, OfAnOddHeightEndInTheTerminalsBackground) {
  const Image column{3, 1, 3, {0, 0, 0, 0, 0, 0, 100, 100, 100}};
  EXPECT_EQ(half_blocks({column}, TerminalColours::cube), "\033[38;5;16;48;5;16m▀\033[0m\n\033[38;5;59;49m▀\033[0m\n");
}

TEST(HalfBlocks, StandSideBySide) {
  const Image dot = Image::filled(2, 1, 3, 0);
  EXPECT_EQ(half_blocks({dot, dot}, TerminalColours::cube),
            "\033[38;5;16;48;5;16m▀\033[0m \033[38;5;16;48;5;16m▀\033[0m\n");
  EXPECT_THROW(half_blocks({dot, four_pixels()}, TerminalColours::all), InternalError);
  EXPECT_THROW(half_blocks({}, TerminalColours::all), InternalError);
}

TEST(Sixels, SetABitForEachPixelOfAColour) {
  const std::string text = sixels(four_pixels());
  EXPECT_TRUE(text.starts_with("\033P0;1q\"1;1;2;2#0;2;0;0;0"));
  EXPECT_TRUE(text.ends_with("-\033\\"));
  // Red: the top pixel of the first column (bit 0, "@"); white: the second pixel of the second column (bit 1, "A").
  EXPECT_THAT(text, HasSubstr("#210@?$"));
  EXPECT_THAT(text, HasSubstr("#251?A$"));
  EXPECT_THROW(sixels(Image::filled(2, 2, 4)), InternalError);
}

TEST(Sixels, CountEqualNeighboursAndGoOnBySixRows) {
  const std::string text = sixels(Image::filled(13, 40, 3, 0));
  EXPECT_THAT(text, HasSubstr("#0!40~$-#0!40~$-#0!40@$-\033\\"));
}

TEST(SampleGrid, EnlargesSmallImagesByAWholeNumber) {
  EXPECT_EQ(enlarge(four_pixels(), 1).pixels, four_pixels().pixels);
  const Image large = enlarge(four_pixels(), 3);
  EXPECT_EQ(large.height, 6);
  EXPECT_EQ(large.row(2)[3 * 2], 255);      // the first pixel's corner: red
  EXPECT_EQ(large.row(3)[3 * 3 + 1], 255);  // the last pixel's: white
  EXPECT_EQ(large.row(2)[3 * 3], 0);
  EXPECT_THROW(enlarge(four_pixels(), 0), InternalError);

  const auto side = [](int64_t size, size_t count, int64_t columns) {
    return enlarged_grid(std::vector<Image>(count, Image::filled(size, size, 3)), columns).width;
  };
  EXPECT_EQ(side(32, 64, 8), 8 * 96 + 7 * 2);
  EXPECT_EQ(side(8, 1, 1), 96);
  EXPECT_EQ(side(64, 4, 2), 2 * 128 + 2);
  EXPECT_EQ(side(256, 4, 2), 2 * 256 + 2);
  EXPECT_EQ(side(32, 1024, 32), 32 * 64 + 31 * 2) << "a large grid stays within 2048 px, about";
  EXPECT_EQ(side(32, 4096, 64), 64 * 32 + 63 * 2);
}

}  // namespace
}  // namespace gigacat::io
