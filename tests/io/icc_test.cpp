// Colour profiles through files of all formats.
#include <gtest/gtest.h>

#include "gigacat/io/png_writer.h"
#include "image_helpers.h"

namespace gigacat::io {
namespace {

std::span<const std::byte> bytes(const std::string& text) { return bytes_of(text); }

Image picture(int64_t channels) {
  Image image{6, 5, channels, std::vector<uint8_t>(static_cast<size_t>(30 * channels))};
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(37 * i);
  return image;
}

class Icc : public testing::TestWithParam<std::string> {
 protected:
  static std::string encode(const Image& image, const std::string& icc = "") {
    if (GetParam() == "jpeg") return encode_jpeg(image, 95, icc);
    if (GetParam() != "png") return encode_webp(image, GetParam() == "webp" ? 90 : 101, icc);
    std::string file;
    PngWriter writer([&](std::string_view part) { file += part; }, image.height, image.width, image.channels, icc);
    writer.write_rows(image.pixels.data(), image.height);
    writer.finish();
    return file;
  }
};

TEST_P(Icc, ComesBackAndChangesNoPixel) {
  for (const size_t size : {size_t{500}, size_t{501}, size_t{150'000}}) {
    const std::string file = encode(picture(3)), with = encode(picture(3), profile(size));
    EXPECT_EQ(icc_profile(bytes(file)), "");
    EXPECT_EQ(icc_profile(bytes(with)), profile(size));
    EXPECT_EQ(decode_image(bytes(with), "with").pixels, decode_image(bytes(file), "without").pixels);
  }
}

TEST_P(Icc, KeepsAlpha) {
  if (GetParam() == "jpeg") return;
  const std::string file = encode(picture(4)), with = encode(picture(4), profile(400));
  const DecodeOptions options{.keep_alpha = true};
  const Image image = decode_image(bytes(with), "with", options);
  EXPECT_EQ(image.channels, 4);
  EXPECT_EQ(image.pixels, decode_image(bytes(file), "without", options).pixels);
  EXPECT_EQ(icc_profile(bytes(with)), profile(400));
}

TEST_P(Icc, DamagedFilesGiveNoneOrTheWhole) {
  const std::string whole = profile(3000), with = encode(picture(3), whole);
  for (size_t size = 0; size < with.size(); ++size) {
    const std::string found = icc_profile(bytes(with.substr(0, size)));
    EXPECT_TRUE(found.empty() || found == whole) << size;
  }
  for (size_t at = 0; at < with.size(); ++at) {  // must only not crash
    std::string flipped = with;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x55);
    EXPECT_LE(icc_profile(bytes(flipped)).size(), size_t{16} << 20);
  }
}

TEST_P(Icc, OthersThanOfRgbAreNotCarried) {
  for (const char* space : {"GRAY", "CMYK"}) EXPECT_EQ(icc_profile(bytes(encode(picture(3), profile(500, space)))), "");
  EXPECT_EQ(icc_profile(bytes(encode(picture(3), std::string(500, 'p')))), "");
}

INSTANTIATE_TEST_SUITE_P(Formats, Icc, testing::Values("png", "jpeg", "webp", "lossless"));

}  // namespace
}  // namespace gigacat::io
