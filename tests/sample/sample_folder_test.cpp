#include "sample/sample_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::sample {
namespace {

using testing::HasSubstr;

io::Image plain(int64_t size, uint8_t value) {
  return {size, size, 3, std::vector<uint8_t>(static_cast<size_t>(size * size * 3), value)};
}

class SampleFolderTest : public testing::Test {
 protected:
  SampleFolderTest() : path_(fs::path(testing::TempDir()) / cat("gigacat-samples-", ::getpid())) {
    fs::remove_all(path_);
  }
  ~SampleFolderTest() override { fs::remove_all(path_); }

  std::string refusal(const nlohmann::ordered_json& settings) const {
    try {
      sample_folder(path_).prepare(settings);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  }

  fs::path path_;
  nlohmann::ordered_json settings_ = {{"count", 4}, {"seed", 1}, {"checkpoint", "a"}};
};

TEST_F(SampleFolderTest, HoldsWhatWasWritten) {
  sample_folder(path_).prepare(settings_);
  PngFolder folder(path_, 1, 4, 4);
  EXPECT_FALSE(folder.holds(12));
  folder.write(12, {plain(4, 77)});
  EXPECT_TRUE(folder.holds(12));
  EXPECT_TRUE(fs::exists(path_ / "000012.png"));
}

TEST_F(SampleFolderTest, StagesAreFilesOfTheirOwn) {
  sample_folder(path_).prepare(settings_);
  PngFolder folder(path_, 2, 4, 4);
  folder.write(0, {plain(4, 1), plain(4, 2)});
  EXPECT_TRUE(folder.holds(0));
  fs::remove(path_ / "000000-1.png");
  EXPECT_FALSE(folder.holds(0));
}

TEST_F(SampleFolderTest, EachFileCarriesItsTexts) {
  sample_folder(path_).prepare(settings_);
  PngFolder folder(path_, 2, 4, 4, [](int64_t i, int64_t stage) {
    return io::PngTexts{{"what", cat(i, "/", stage)}, {"prompt", "zwei Kätzchen 🐈"}};
  });
  folder.write(7, {plain(4, 1), plain(4, 2)});
  const std::string bytes = read_file(path_ / "000007-1.png");
  EXPECT_EQ(io::png_texts(std::as_bytes(std::span(bytes)), "7"),
            (io::PngTexts{{"what", "7/1"}, {"prompt", "zwei Kätzchen 🐈"}}));
  EXPECT_TRUE(folder.holds(7));
}

TEST_F(SampleFolderTest, ABrokenFileIsNotHeld) {
  sample_folder(path_).prepare(settings_);
  PngFolder folder(path_, 1, 4, 4);
  folder.write(0, {plain(4, 1)});
  const std::string bytes = read_file(path_ / "000000.png");
  write_atomically(path_ / "000000.png", bytes.substr(0, bytes.size() / 2));
  EXPECT_FALSE(folder.holds(0));
  write_atomically(path_ / "000000.png", "");
  EXPECT_FALSE(folder.holds(0));
  write_atomically(path_ / "000000.png", io::encode_png(plain(5, 1)));
  EXPECT_FALSE(folder.holds(0)) << "another size";
}

TEST_F(SampleFolderTest, PixelsAreHeldOnceTheirChecksumIs) {
  sample_folder(path_).prepare(settings_);
  {
    PixelFile pixels(path_, 4, 4 * 4 * 3);
    EXPECT_FALSE(pixels.holds(2));
    pixels.write(2, {plain(4, 1), plain(4, 9)});
  }
  PixelFile pixels(path_, 6, 4 * 4 * 3);  // more samples are asked for
  EXPECT_TRUE(pixels.holds(2));
  EXPECT_FALSE(pixels.holds(1));
  EXPECT_FALSE(pixels.holds(5));
  EXPECT_EQ(pixels.read(2), plain(4, 9).pixels);
  std::string bytes = read_file(path_ / "pixels");
  bytes[2 * 48] ^= 1;
  write_atomically(path_ / "pixels", bytes);
  EXPECT_FALSE(PixelFile(path_, 6, 48).holds(2)) << "damaged";
}

TEST_F(SampleFolderTest, GoesOnWithTheSameSettingsAlone) {
  EXPECT_EQ(refusal(settings_), "");
  EXPECT_EQ(refusal(settings_), "");
  nlohmann::ordered_json moved = settings_, more = settings_, fewer = settings_, other = settings_;
  moved["checkpoint"] = "b";
  EXPECT_EQ(refusal(moved), "");
  more["count"] = 6;
  EXPECT_EQ(refusal(more), "");
  fewer["count"] = 3;
  EXPECT_THAT(refusal(fewer), HasSubstr("has count 6, more than the 3 asked for"));
  other["count"] = 6;
  other["seed"] = 2;
  EXPECT_THAT(refusal(other), HasSubstr("seed: 1 -> 2"));
}

TEST_F(SampleFolderTest, LeavesForeignFoldersAlone) {
  fs::create_directories(path_);
  write_atomically(path_ / "holiday.png", "x");
  EXPECT_THAT(refusal(settings_), HasSubstr("no samples.json"));
  write_atomically(path_ / "samples.json", "[1]");
  EXPECT_THAT(refusal(settings_), HasSubstr("is not the settings"));
  fs::remove_all(path_);
  write_atomically(path_, "a file");
  EXPECT_THAT(refusal(settings_), HasSubstr("cannot make the folder"));
  fs::remove(path_);
}

}  // namespace
}  // namespace gigacat::sample
