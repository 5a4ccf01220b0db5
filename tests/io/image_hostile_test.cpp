// Broken and malicious image files: an Error each, never a crash, never half an image.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>

#include "image_helpers.h"

namespace gigacat::io {
namespace {

using ::testing::HasSubstr;

std::string fault_of(const std::string& file) {
  const std::string error = error_of([&] { decode(file); });
  EXPECT_THAT(error, HasSubstr("FILE"));
  return error;
}

TEST(Hostile, TruncationsAreRefused) {
  for (const auto& [name, file] : golden_files()) {
    for (size_t size = 0; size < file.size(); size += 7) {
      ASSERT_FALSE(is_accepted([&] { decode(file.substr(0, size)); }))
          << name << " cut to " << size << " of " << file.size();
    }
    for (size_t cut = 1; cut < 8; ++cut) {
      ASSERT_FALSE(is_accepted([&] { decode(file.substr(0, file.size() - cut)); }))
          << name << " without " << cut << " bytes";
    }
  }
}

TEST(Hostile, TruncationsOfTheHeaderNeverCrashTheProbe) {
  for (const auto& [name, file] : golden_files()) {
    for (size_t size = 0; size < std::min<size_t>(file.size(), 700); ++size) {
      is_accepted([&] { probe_image(bytes_of(file).first(size), name); });
    }
  }
}

TEST(Hostile, FlippedBytesNeverCrash) {
  for (const auto& [name, file] : golden_files()) {
    const size_t step = file.size() > 2000 ? 29 : 7;
    for (size_t at = 0; at < file.size(); at += at < 200 ? 1 : step) {
      std::string flipped = file;
      flipped[at] = static_cast<char>(flipped[at] ^ (at % 2 ? 0xff : 0x11));
      // Small sizes alone, so that the test is quick: a flipped size would decode up to the limit.
      is_accepted([&] { decode(flipped, {.most_pixels = 1'000'000}); });
    }
  }
}

TEST(Hostile, TrailingBytesAreFine) {
  for (const auto& [name, file] : golden_files()) {
    EXPECT_EQ(decode(file + "trailing bytes" + std::string(100, '\xff')).pixels, decode(file).pixels) << name;
  }
}

TEST(Hostile, JpegWhoseScanEndsEarly) {
  for (const char* name : {"jpeg_420", "jpeg_progressive", "jpeg_gray", "jpeg_cmyk"}) {
    const std::string file = golden_files().at(name);
    const size_t last_scan = file.rfind("\xff\xda");
    // Half of the last scan is gone, the end marker is there.
    EXPECT_THAT(fault_of(file.substr(0, (last_scan + file.size()) / 2) + "\xff\xd9"), HasSubstr("truncated JPEG"))
        << name;
    EXPECT_THAT(fault_of(file.substr(0, file.size() - 2)), HasSubstr("truncated JPEG")) << name;
  }
}

TEST(Hostile, JpegWithScansWithoutEnd) {
  const std::string file = golden_files().at("jpeg_progressive");
  const size_t scan = file.find("\xff\xda");
  const size_t next = file.find("\xff\xc4", scan);
  ASSERT_NE(next, file.npos);
  std::string many = file.substr(0, next);
  for (int i = 0; i < 1000; ++i) many += file.substr(scan, next - scan);
  fault_of(many + "\xff\xd9");
}

TEST(Hostile, JpegWithTwoSizes) {
  const std::string file = golden_files().at("jpeg_420");
  const size_t frame = file.find("\xff\xc0");
  const std::string copy = file.substr(frame, 19);
  fault_of(file.substr(0, frame) + copy + file.substr(frame));
}

TEST(Hostile, PngFaultsAreNamed) {
  const std::string png = encode_png(gradient(8, 8, 3));
  std::string bad = png;
  bad[png.find("IDAT") + 8] = static_cast<char>(bad[png.find("IDAT") + 8] ^ 1);
  EXPECT_THAT(fault_of(bad), HasSubstr("checksum of IDAT"));
  EXPECT_THAT(fault_of(png.substr(0, png.size() - 12)), HasSubstr("no IEND"));
  EXPECT_THAT(fault_of(png.substr(0, 40)), HasSubstr("truncated PNG"));
  EXPECT_THAT(fault_of("\x89PNG\r\n\x1a\n" + png_chunk("IEND", "") + std::string(30, 'x')), HasSubstr("IHDR"));
  // Whole by its checksums, but with fewer rows than it says.
  EXPECT_THAT(fault_of(png_of(4, 2, 8, 0, std::string(3 * 3, '\0'))), HasSubstr("damaged"));
  EXPECT_THAT(fault_of(png_of(4, 2, 7, 0, std::string(4 * 3, '\0'))), HasSubstr("damaged"));
  EXPECT_THAT(fault_of(png_of(4, 2, 8, 3, std::string(4 * 3, '\0'))), HasSubstr("damaged"));
}

TEST(Hostile, DamageThatCostsNoPixelsIsFine) {
  const std::string png = encode_png(gradient(8, 8, 3));
  std::string text = png_chunk("tEXt", "Comment");
  text.back() = static_cast<char>(text.back() ^ 1);
  EXPECT_EQ(decode(png.substr(0, 33) + text + png.substr(33)).pixels, decode(png).pixels);
}

TEST(Hostile, BombsAreRefusedByTheirHeader) {
  const auto files = golden_files();
  const auto with = [&](const std::string& name, size_t at, const std::string& bytes) {
    std::string file = files.at(name);
    return file.replace(at, bytes.size(), bytes);
  };
  const std::string frame("\xff\xc0");
  const std::string large16("\xff\xdc\xff\xdc", 4);
  EXPECT_THAT(fault_of(with("jpeg_420", files.at("jpeg_420").find(frame) + 5, large16)), HasSubstr("allowed"));
  EXPECT_THAT(fault_of(with("png_rgb", 16, big_endian(60000) + big_endian(60000))), HasSubstr("60000 x 60000 pixels"));
  EXPECT_THAT(fault_of(with("png_rgb", 16, big_endian(0x7fffffff) + big_endian(0x7fffffff))), HasSubstr("allowed"));
  EXPECT_THAT(fault_of(with("png_rgb", 16, big_endian(0) + big_endian(7))), HasSubstr("no size"));
  EXPECT_THAT(fault_of(with("webp_lossy", 26, "\xff\x3f\xff\x3f")), HasSubstr("allowed"));
  EXPECT_THAT(fault_of(with("webp_lossless", 21, "\xff\xff\xff\x0f")), HasSubstr("allowed"));
  EXPECT_THAT(fault_of(with("bmp_rgb", 18, std::string("\xff\xff\xff\x7f\0\0\0\x80", 8))), HasSubstr("allowed"));
  EXPECT_THAT(fault_of(with("bmp_rgb", 18, std::string("\0\0\0\x80", 4))), HasSubstr("no size"));
  EXPECT_THAT(error_of([&] { decode(files.at("png_rgb"), {.most_pixels = 37 * 53 - 1}); }), HasSubstr("1960 allowed"));
  EXPECT_EQ(decode(files.at("png_rgb"), {.most_pixels = 37 * 53}).height, 37);
}

TEST(Hostile, WebpAndBmpSizesAreChecked) {
  const auto files = golden_files();
  std::string bmp = files.at("bmp_rgb");
  std::memcpy(bmp.data() + 22, "\x99\0\0", 4);
  EXPECT_THAT(fault_of(bmp), HasSubstr("truncated BMP"));
  std::memcpy(bmp.data() + 30, "\4\0\0", 4);
  EXPECT_THAT(fault_of(bmp), HasSubstr("packing 4"));
  std::string webp = files.at("webp_lossy");
  webp[4] = '\xff';
  webp[5] = '\x7f';
  EXPECT_THAT(fault_of(webp), HasSubstr("truncated WebP"));
}

}  // namespace
}  // namespace gigacat::io
