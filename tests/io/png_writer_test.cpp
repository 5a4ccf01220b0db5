#include "gigacat/io/png_writer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "image_helpers.h"

namespace gigacat::io {
namespace {

// A file written in strips of `rows`.
std::string written(const Image& image, int64_t rows, const std::string& icc = "") {
  std::string file;
  PngWriter writer([&](std::string_view bytes) { file += bytes; }, image.height, image.width, image.channels, icc);
  for (int64_t y = 0; y < image.height; y += rows) writer.write_rows(image.row(y), std::min(rows, image.height - y));
  writer.finish();
  return file;
}

// Pixels that do not pack, so that a file has many chunks.
Image noise(int64_t height, int64_t width, int64_t channels) {
  Image image{height, width, channels, std::vector<uint8_t>(static_cast<size_t>(height * width * channels))};
  uint32_t state = 1;
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return image;
}

TEST(PngWriter, GivesThePixelsBack) {
  for (const int64_t channels : {1, 3, 4})
    for (const Image& image : {gradient(7, 5, channels), noise(1, 1, channels), noise(300, 211, channels)}) {
      const std::string file = written(image, 3);
      const Image read = decode(file, {.keep_alpha = true});
      ASSERT_EQ(read.height, image.height);
      ASSERT_EQ(read.width, image.width);
      if (channels > 1) {
        EXPECT_EQ(read.pixels, image.pixels) << channels;
      } else {
        EXPECT_EQ(read.pixels[static_cast<size_t>(3 * image.width * image.height - 1)], image.pixels.back());
      }
      EXPECT_EQ(written(image, image.height), file);  // however it is cut into strips
    }
}

TEST(PngWriter, PacksAsWellAsTheLibrary) {
  const Image image = gradient(400, 300, 3);
  EXPECT_LT(written(image, 16).size(), encode_png(image).size() * 5 / 4);
}

TEST(PngWriter, CarriesAProfile) {
  const std::string icc = profile(70'000);
  const std::string file = written(gradient(9, 9, 3), 2, icc);
  EXPECT_EQ(icc_profile(bytes_of(file)), icc);
  EXPECT_EQ(decode(file).pixels, gradient(9, 9, 3).pixels);
}

TEST(PngWriter, CarriesTexts) {
  const PngTexts texts = {
      {"seed", "5"}, {"prompt", "zwei Kätzchen 🐈\nund mehr"}, {"Empty", ""}, {"long", std::string(100'000, 'x')}};
  const std::string file = encode_png(gradient(9, 9, 3), texts);
  EXPECT_EQ(png_texts(bytes_of(file), "FILE"), texts);
  EXPECT_EQ(decode(file).pixels, gradient(9, 9, 3).pixels);
  EXPECT_NE(file.find(std::string("tEXtseed\0"
                                  "5",
                                  10)),
            file.npos);
  EXPECT_LT(file.find("iTXt"), file.find("IDAT"));
  EXPECT_THROW(encode_png(gradient(9, 9, 3), {{"", "no key"}}), InternalError);
  EXPECT_THROW(encode_png(gradient(9, 9, 3), {{std::string(80, 'k'), ""}}), InternalError);
}

TEST(PngWriter, ReadsTextsOfOthers) {
  const std::string png = encode_png(gradient(9, 9, 3)), end = png.substr(png.size() - 12);
  const std::string latin = png_chunk("tEXt", std::string("Title\0caf\xE9", 10)),
                    broken = png_chunk("zTXt", std::string("Title\0\0xx", 9));
  const std::string file = png.substr(0, 33) + latin + broken + png.substr(33, png.size() - 45) +
                           png_chunk("tEXt", std::string("After\0it", 8)) + end;
  EXPECT_EQ(png_texts(bytes_of(file), "FILE"), (PngTexts{{"Title", "café"}, {"After", "it"}}));
  EXPECT_EQ(png_texts(bytes_of(png), "FILE"), PngTexts{});
  EXPECT_EQ(error_of([&] { png_texts(bytes_of("GIF89a"), "FILE"); }), "FILE: not a PNG file");
  EXPECT_EQ(error_of([&] { png_texts(bytes_of(file.substr(0, 60)), "FILE"); }), "FILE: truncated PNG: it has no IEND");
}

TEST(PngWriter, PassesOnWhatTheSinkThrows) {
  const auto full = [](std::string_view) { fail("no space left on the device"); };
  EXPECT_EQ(error_of([&] { PngWriter(full, 4, 4, 3); }), "no space left on the device");
}

TEST(PngWriter, KnowsItsSize) {
  const Image image = gradient(4, 4, 3);
  PngWriter writer([](std::string_view) {}, 4, 4, 3);
  writer.write_rows(image.row(0), 3);
  EXPECT_THROW(writer.finish(), InternalError);
  EXPECT_THROW(writer.write_rows(image.row(0), 2), InternalError);
  EXPECT_THROW(PngWriter([](std::string_view) {}, 4, 4, 2), InternalError);
}

}  // namespace
}  // namespace gigacat::io
