#include <gmock/gmock.h>

#include <array>
#include <thread>

#include "image_helpers.h"

namespace gigacat::io {
namespace {

using ::testing::HasSubstr;

// Cases of the golden file whose meaning is ours too, with their tolerance. Not among them: the plain outputs of the
// EXIF files (ours are turned), of alpha and palette transparency (ours are composited), and PIL's clipped 16-bit grey.
struct GoldenDecode {
  const char *input, *output;
  int tolerance;
};

class Golden : public ::testing::TestWithParam<GoldenDecode> {};

TEST_P(Golden, Agrees) {
  const SafetensorsFile file(golden("cases/eval/decode/data.safetensors"));
  const Image expected = image_of(file.at(std::string("output.") + GetParam().output));
  const Image image = decode(golden_files().at(GetParam().input));
  EXPECT_EQ(image.height, expected.height);
  EXPECT_EQ(image.width, expected.width);
  EXPECT_LE(largest_difference(image, expected), GetParam().tolerance);
}

INSTANTIATE_TEST_SUITE_P(
    Decode, Golden,
    ::testing::Values(
        GoldenDecode{"jpeg_420", "jpeg_420_rgb", 1}, GoldenDecode{"jpeg_422", "jpeg_422_rgb", 1},
        GoldenDecode{"jpeg_444", "jpeg_444_rgb", 1}, GoldenDecode{"jpeg_progressive", "jpeg_progressive_rgb", 1},
        GoldenDecode{"jpeg_gray", "jpeg_gray_rgb", 1}, GoldenDecode{"jpeg_cmyk", "jpeg_cmyk_rgb", 1},
        GoldenDecode{"jpeg_exif_a", "jpeg_exif_a_transposed", 1},
        GoldenDecode{"jpeg_exif_b", "jpeg_exif_b_transposed", 1}, GoldenDecode{"png_rgb", "png_rgb_rgb", 0},
        GoldenDecode{"png_gray", "png_gray_rgb", 0}, GoldenDecode{"png_palette", "png_palette_rgb", 0},
        GoldenDecode{"png_1bit", "png_1bit_rgb", 0}, GoldenDecode{"png_gray16", "png_gray16_high_byte", 0},
        GoldenDecode{"png_rgb16", "png_rgb16_rgb", 0}, GoldenDecode{"webp_lossless", "webp_lossless_rgb", 0},
        GoldenDecode{"webp_lossy", "webp_lossy_rgb", 1}, GoldenDecode{"bmp_rgb", "bmp_rgb_rgb", 0}),
    [](const auto& test) { return std::string(test.param.input); });

TEST(Decode, AsStoredIsWhatPilGives) {
  const SafetensorsFile file(golden("cases/eval/decode/data.safetensors"));
  int cases = 0;
  for (const auto& [name, bytes] : golden_files()) {
    if (name == "png_gray16") continue;  // PIL clips its values at 255
    const Image expected = image_of(file.at(cat("output.", name, "_rgb")));
    const Image image = decode(bytes, {.as_stored = true});
    EXPECT_LE(largest_difference(image, expected), name.starts_with("jpeg") || name == "webp_lossy" ? 1 : 0) << name;
    ++cases;
  }
  EXPECT_GE(cases, 15);
}

// Where alpha is 255 compositing and dropping agree; elsewhere the composite lies between colour and background.
TEST(Decode, GoldenAlphaLiesBetweenColourAndBackground) {
  const SafetensorsFile file(golden("cases/eval/decode/data.safetensors"));
  for (const char* name : {"png_rgba", "png_la", "png_palette_transparency"}) {
    const Image color = image_of(file.at(cat("output.", name, "_rgb")));
    const Image white = decode(golden_files().at(name)), black = decode(golden_files().at(name), {.background = 0});
    ASSERT_EQ(white.pixels.size(), color.pixels.size());
    size_t transparent = 0;
    for (size_t i = 0; i < color.pixels.size(); ++i) {
      // color = black + (255 - white) * share, share = color / 255: exact but for two roundings.
      ASSERT_LE(black.pixels[i], color.pixels[i]);
      ASSERT_GE(white.pixels[i], color.pixels[i]);
      const int alpha = 255 - (white.pixels[i] - black.pixels[i]);
      ASSERT_NEAR(black.pixels[i], color.pixels[i] * alpha / 255.0, 1.01);
      transparent += alpha < 255;
    }
    EXPECT_GT(transparent, 0u) << name;
  }
}

TEST(Decode, AlphaIsComposited) {
  const Image image{1, 3, 4, {10, 20, 30, 255, 10, 20, 30, 0, 200, 100, 0, 128}};
  const std::string png = encode_png(image);
  EXPECT_THAT(decode(png).pixels, ::testing::ElementsAre(10, 20, 30, 255, 255, 255, 227, 177, 127));
  EXPECT_THAT(decode(png, {.background = 0}).pixels, ::testing::ElementsAre(10, 20, 30, 0, 0, 0, 100, 50, 0));
}

TEST(Decode, GreyWithATransparentValue) {
  const std::string key8 = png_chunk("tRNS", std::string("\0\x07", 2)), key16 = png_chunk("tRNS", "\x12\x34");
  EXPECT_THAT(decode(png_of(1, 2, 8, 0, std::string("\0\x07\x08", 3), key8), {.background = 99}).pixels,
              ::testing::ElementsAre(99, 99, 99, 8, 8, 8));
  EXPECT_THAT(decode(png_of(1, 2, 16, 0, std::string("\0\x12\x34\x12\x35", 5), key16), {.background = 99}).pixels,
              ::testing::ElementsAre(99, 99, 99, 0x12, 0x12, 0x12));
  // Two pixels of four bits, 7 and 8 of 15.
  EXPECT_THAT(decode(png_of(1, 2, 4, 0, std::string("\0\x78", 2), key8), {.background = 0}).pixels,
              ::testing::ElementsAre(0, 0, 0, 136, 136, 136));
}

TEST(Decode, RgbWithATransparentColour) {
  const std::string key = png_chunk("tRNS", std::string("\0\x01\0\x02\0\x03", 6));
  EXPECT_THAT(decode(png_of(1, 2, 8, 2, std::string("\0\x01\x02\x03\x01\x02\x04", 7), key), {.background = 99}).pixels,
              ::testing::ElementsAre(99, 99, 99, 1, 2, 4));
}

TEST(Decode, SixteenBitAlpha) {
  const std::string row("\0\xc8\x11\x64\x22\0\x33\x80\x44", 9);
  EXPECT_THAT(decode(png_of(1, 1, 16, 6, row)).pixels, ::testing::ElementsAre(227, 177, 127));
  EXPECT_THAT(decode(png_of(1, 1, 16, 4, std::string("\0\xc8\x11\x80\x44", 5)), {.background = 0}).pixels,
              ::testing::ElementsAre(100, 100, 100));
}

// A PNG of each form in which pixels can be transparent: one row, its first pixel half or fully transparent, its second
// opaque. `alpha` of the first.
struct AlphaForm {
  const char* name;
  char depth, color;
  std::string row, chunks;
  std::array<uint8_t, 3> first, second;
  uint8_t alpha;
};

std::vector<AlphaForm> alpha_forms() {
  const std::string palette = png_chunk("PLTE", "abcdef");
  const auto key = [](const std::string& value) { return png_chunk("tRNS", value); };
  const auto text = [](const char* bytes, size_t size) { return std::string(bytes, size); };
  return {
      {"rgba8", 8, 6, text("\0\1\2\3\x80\4\5\6\xff", 9), "", {1, 2, 3}, {4, 5, 6}, 128},
      {"rgba16", 16, 6, text("\0\1\xff\2\xff\3\xff\x80\xff\4\0\5\0\6\0\xff\xff", 17), "", {1, 2, 3}, {4, 5, 6}, 128},
      {"grey_alpha8", 8, 4, text("\0\7\x80\x8\xff", 5), "", {7, 7, 7}, {8, 8, 8}, 128},
      {"grey_alpha16", 16, 4, text("\0\7\xff\x80\xff\x8\0\xff\xff", 9), "", {7, 7, 7}, {8, 8, 8}, 128},
      {"palette1", 1, 3, text("\0\x40", 2), palette + key("\x80"), {'a', 'b', 'c'}, {'d', 'e', 'f'}, 128},
      {"palette2", 2, 3, text("\0\x10", 2), palette + key("\x80"), {'a', 'b', 'c'}, {'d', 'e', 'f'}, 128},
      {"palette4", 4, 3, text("\0\x01", 2), palette + key("\x80"), {'a', 'b', 'c'}, {'d', 'e', 'f'}, 128},
      {"palette8", 8, 3, text("\0\0\1", 3), palette + key("\x80"), {'a', 'b', 'c'}, {'d', 'e', 'f'}, 128},
      {"grey_key1", 1, 0, text("\0\x80", 2), key(text("\0\1", 2)), {255, 255, 255}, {0, 0, 0}, 0},
      {"grey_key2", 2, 0, text("\0\x60", 2), key(text("\0\1", 2)), {85, 85, 85}, {170, 170, 170}, 0},
      {"grey_key4", 4, 0, text("\0\x78", 2), key(text("\0\7", 2)), {119, 119, 119}, {136, 136, 136}, 0},
      {"grey_key8", 8, 0, text("\0\7\x8", 3), key(text("\0\7", 2)), {7, 7, 7}, {8, 8, 8}, 0},
      {"grey_key16", 16, 0, text("\0\7\1\7\2", 5), key(text("\7\1", 2)), {7, 7, 7}, {7, 7, 7}, 0},
      {"rgb_key8", 8, 2, text("\0\1\2\3\1\2\4", 7), key(text("\0\1\0\2\0\3", 6)), {1, 2, 3}, {1, 2, 4}, 0},
      {"rgb_key16",
       16,
       2,
       text("\0\1\0\2\0\3\0\1\0\2\0\3\1", 13),
       key(text("\1\0\2\0\3\0", 6)),
       {1, 2, 3},
       {1, 2, 3},
       0},
  };
}

TEST(Decode, EveryFormOfTransparencyIsKept) {
  for (const AlphaForm& form : alpha_forms()) {
    SCOPED_TRACE(form.name);
    const std::string file = png_of(1, 2, form.depth, form.color, form.row, form.chunks);
    const auto [r, g, b] = form.first;
    const auto [r2, g2, b2] = form.second;
    const Image kept = decode(file, {.keep_alpha = true});
    ASSERT_EQ(kept.channels, 4);
    EXPECT_THAT(kept.pixels, ::testing::ElementsAre(r, g, b, form.alpha, r2, g2, b2, 255));
    EXPECT_THAT(decode(file, {.as_stored = true}).pixels, ::testing::ElementsAre(r, g, b, r2, g2, b2));
    const auto on_grey = [&](int c) {
      return static_cast<uint8_t>((c * form.alpha + 99 * (255 - form.alpha) + 127) / 255);
    };
    EXPECT_THAT(decode(file, {.background = 99}).pixels,
                ::testing::ElementsAre(on_grey(r), on_grey(g), on_grey(b), r2, g2, b2));
    EXPECT_EQ(decode(encode_png(kept), {.keep_alpha = true}).pixels, kept.pixels);
  }
}

// The passes of Adam7 over 3 x 3 grey pixels: (0, 0); (0, 2); (2, 0) and (2, 2); (0, 1), then (2, 1); the row y = 1.
TEST(Decode, InterlacedPng) {
  const std::string rows("\0\1\0\2\0\3\4\0\5\0\6\0\7\x8\x9", 15);
  EXPECT_THAT(decode(png_of(3, 3, 8, 0, rows, "", 1)).pixels,
              ::testing::ElementsAre(1, 1, 1, 5, 5, 5, 2, 2, 2, 7, 7, 7, 8, 8, 8, 9, 9, 9, 3, 3, 3, 6, 6, 6, 4, 4, 4));
}

// Source of pixel (y, x) of a turned image, by EXIF 2.3, table 6 ("the 0th row is the visual top of the image", ...).
std::pair<int64_t, int64_t> stored_place(int orientation, int64_t y, int64_t x, int64_t height, int64_t width) {
  switch (orientation) {
    case 2:
      return {y, width - 1 - x};
    case 3:
      return {height - 1 - y, width - 1 - x};
    case 4:
      return {height - 1 - y, x};
    case 5:
      return {x, y};
    case 6:
      return {height - 1 - x, y};
    case 7:
      return {height - 1 - x, width - 1 - y};
    case 8:
      return {x, width - 1 - y};
    default:
      return {y, x};
  }
}

void expect_turned(const Image& plain, const Image& turned, int orientation) {
  ASSERT_EQ(turned.height, orientation >= 5 ? plain.width : plain.height);
  ASSERT_EQ(turned.width, orientation >= 5 ? plain.height : plain.width);
  for (int64_t y = 0; y < turned.height; ++y) {
    for (int64_t x = 0; x < turned.width; ++x) {
      const auto [sy, sx] = stored_place(orientation, y, x, plain.height, plain.width);
      ASSERT_EQ(turned.row(y)[3 * x], plain.row(sy)[3 * sx]) << orientation << " at " << y << "," << x;
    }
  }
}

TEST(Decode, OrientationOfEveryFormat) {
  const Image image = gradient(13, 22, 3);
  const std::string jpeg = encode_jpeg(image), png = encode_png(image);
  const Image plain = decode(jpeg);
  for (char o = 1; o <= 8; ++o) {
    const std::string turned = with_segment(jpeg, '\xe1', std::string("Exif\0\0", 6) + exif(o));
    EXPECT_EQ(probe_image(bytes_of(turned), "FILE").orientation, o);
    expect_turned(plain, decode(turned), o);
    expect_turned(image, decode(png.substr(0, 33) + png_chunk("eXIf", exif(o)) + png.substr(33)), o);
  }
}

TEST(Decode, DamagedExifIsIgnored) {
  const Image image = gradient(8, 8, 3);
  const std::string jpeg = encode_jpeg(image), mark("Exif\0\0", 6);
  const std::string whole = exif(6);
  for (size_t size = 0; size < whole.size() - 4; ++size) {
    EXPECT_EQ(decode(with_segment(jpeg, '\xe1', mark + whole.substr(0, size))).pixels, decode(jpeg).pixels);
  }
  for (char bad : {'\0', '\x09', '\xff'}) {
    EXPECT_EQ(probe_image(bytes_of(with_segment(jpeg, '\xe1', mark + exif(bad))), "FILE").orientation, 1);
  }
}

TEST(Decode, ThreadsDecodeAtOnce) {
  const auto files = golden_files();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (const auto& item : files) EXPECT_EQ(decode(item.second).channels, 3);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(Probe, SizesOfEveryFormat) {
  for (const auto& [name, file] : golden_files()) {
    const ImageHeader header = probe_image(bytes_of(file), name);
    EXPECT_EQ(header.format, name.substr(0, name.find('_')));
    EXPECT_EQ(header.height, 37);
    EXPECT_EQ(header.width, 53);
  }
  const std::string gif = std::string("GIF89a\x2c\x01\x05\0", 10);
  EXPECT_EQ(probe_image(bytes_of(gif), "FILE").width, 300);
  EXPECT_EQ(probe_image(bytes_of(gif), "FILE").height, 5);
}

TEST(Probe, AFewBytesAreEnough) {
  for (const auto& [name, file] : golden_files()) {
    if (name.starts_with("jpeg")) continue;
    EXPECT_EQ(probe_image(bytes_of(file).first(64), name).width, 53) << name;
  }
}

TEST(Encode, PngIsLossless) {
  for (int64_t channels : {1, 3}) {
    const Image image = gradient(17, 23, channels);
    const Image read = decode(encode_png(image));
    for (size_t i = 0; i < read.pixels.size(); ++i) {
      ASSERT_EQ(read.pixels[i], image.pixels[channels == 3 ? i : i / 3]);
    }
  }
  EXPECT_LT(encode_png(gradient(64, 64, 3), 9).size(), encode_png(gradient(64, 64, 3), 0).size());
}

TEST(Encode, JpegIsClose) {
  const Image image = gradient(32, 48, 3);
  EXPECT_LE(largest_difference(decode(encode_jpeg(image, 100)), image), 30);
  EXPECT_LT(encode_jpeg(image, 30).size(), encode_jpeg(image, 95).size());
}

TEST(Encode, MisuseIsAnInternalError) {
  EXPECT_THROW(encode_png(Image{2, 2, 3, {1, 2, 3}}), InternalError);
  EXPECT_THROW(encode_png(Image{0, 0, 3, {}}), InternalError);
  EXPECT_THROW(encode_jpeg(Image{1, 1, 4, {1, 2, 3, 4}}), InternalError);
}

TEST(Decode, OthersAreRefusedByName) {
  const auto fault = [](const std::string& file) { return error_of([&] { decode(file); }); };
  EXPECT_THAT(fault("GIF89a" + std::string(100, 'x')), HasSubstr("FILE: gif is not supported"));
  EXPECT_THAT(fault(std::string("II*\0", 4) + std::string(100, 'x')), HasSubstr("TIFF"));
  EXPECT_THAT(fault(std::string("\0\0\0\x1c", 4) + "ftypavif" + std::string(100, 'x')), HasSubstr("avif"));
  EXPECT_THAT(fault("<!DOCTYPE html><html>"), HasSubstr("not an image"));
  EXPECT_THAT(fault(""), HasSubstr("empty"));
  std::string animated = golden_files().at("webp_lossy");
  animated = "RIFF" + std::string("\x16\0\0\0", 4) + "WEBPVP8X" +
             std::string("\x0a\0\0\0\x02\0\0\0\x07\0\0\x07\0\0", 14) + animated.substr(12);
  EXPECT_THAT(fault(animated), HasSubstr("animated WebP"));
}

}  // namespace
}  // namespace gigacat::io
