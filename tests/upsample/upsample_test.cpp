#include "gigacat/upsample/upsample.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/models/aura_sr/network.h"
#include "gigacat/nn/state.h"
#include "pretrained/helpers.h"
#include "upsample/strip_resampler.h"
#include "upsample/tiling.h"

namespace gigacat::upsample {
namespace {

using ::testing::HasSubstr;

constexpr const char* kConfig = R"({"dim": 4, "image_size": 64, "input_image_size": 16,
  "style_network": {"dim_in": 8, "dim_out": 8, "depth": 2}, "self_attn_heads": 1, "self_attn_dim_head": 4,
  "attn_depths": [1, 1, 1, 1, 1], "mid_attn_depth": 1, "num_conv_kernels": 2, "skip_connect_scale": 0.4})";

class UpsampleTest : public ::testing::Test {
 protected:
  UpsampleTest() {
    fs::create_directories(root() / "net");
    write_atomically(root() / "net/config.json", kConfig);
    const models::aura_sr::AuraSr network(models::aura_sr::AuraSrConfig::parse(kConfig, "test"));
    nn::write_tensors(root() / "net/model.safetensors", pretrained::testing::random_state(*network));
  }
  fs::path root() const { return temporary_.path(); }

  static io::Image picture(int64_t height, int64_t width, int64_t channels = 3) {
    io::Image image{height, width, channels, std::vector<uint8_t>(static_cast<size_t>(height * width * channels))};
    for (int64_t i = 0; i < std::ssize(image.pixels); ++i)
      image.pixels[static_cast<size_t>(i)] = static_cast<uint8_t>((i * 7 + i / (width * channels) * 31) % 256);
    return image;
  }
  Upsampler upsampler(const UpsampleOptions& options = {}) const { return {root() / "net", options}; }
  UpsampleReport run(const std::vector<std::string>& inputs, const std::string& out,
                     const std::string& ext = "auto") const {
    UpsampleRequest request;
    request.inputs = inputs;
    request.out = out;
    request.weights = (root() / "net").string();
    request.extension = ext;
    return upsample_files(request);
  }
  static io::Image read(const fs::path& path) {
    const std::string bytes = read_file(path);
    return io::decode_image(std::as_bytes(std::span(bytes)), path.string(), {.keep_alpha = true});
  }

  const TemporaryFolder temporary_;
};

TEST_F(UpsampleTest, EverySizeAndScale) {
  Upsampler four = upsampler();
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {5, 40}, {16, 16}, {37, 21}}) {
    const io::Image large = four(picture(height, width));
    EXPECT_EQ(large.height, 4 * height);
    EXPECT_EQ(large.width, 4 * width);
  }
  for (const int64_t scale : {2, 3, 8}) {
    const io::Image large = upsampler({.scale = scale})(picture(9, 13));
    EXPECT_EQ(large.height, 9 * scale);
    EXPECT_EQ(large.width, 13 * scale);
  }
}

TEST_F(UpsampleTest, SeedsDifferAndTilesAtOnceDoNotMatter) {
  const io::Image image = picture(40, 30);
  const auto one = upsampler({.memory = 5'000'000})(image).pixels;  // one tile at a time
  const auto many = upsampler()(image).pixels;
  ASSERT_EQ(one.size(), many.size());
  int worst = 0;
  for (size_t i = 0; i < one.size(); ++i) worst = std::max(worst, std::abs(one[i] - many[i]));
  EXPECT_LE(worst, 1);  // sums in another order may round the other way
  EXPECT_EQ(upsampler({.memory = 5'000'000}).tile(30), 16);
  EXPECT_EQ(upsampler({.memory = 5'000'000}).tile(300), 8);  // wider rows leave less
  EXPECT_EQ(upsampler({.memory = 1'000'000}).tile(30), 8);   // what one of 16 px would take is more
  EXPECT_EQ(upsampler()(image).pixels, many);
  EXPECT_NE(upsampler({.seed = 1})(image).pixels, many);
}

TEST_F(UpsampleTest, AlphaIsCarried) {
  io::Image image = picture(10, 12, 4);
  for (size_t i = 0; i < image.pixels.size(); i += 4) image.pixels[i + 3] = 77;
  const io::Image large = upsampler()(image);
  ASSERT_EQ(large.channels, 4);
  for (size_t i = 0; i < large.pixels.size(); i += 4) ASSERT_EQ(large.pixels[i + 3], 77);
}

TEST_F(UpsampleTest, FolderModeGivesTheFilesOfSingleMode) {
  fs::create_directories(root() / "in/sub");
  write_atomically(root() / "in/a.png", io::encode_png(picture(20, 18)));
  write_atomically(root() / "in/sub/b.webp", io::encode_webp(picture(9, 9), 101));
  write_atomically(root() / "in/broken.jpg", "no image");
  const std::string out = (root() / "out").string();
  const UpsampleReport report = run({(root() / "in").string()}, out);
  EXPECT_EQ(report.written, 2);
  ASSERT_EQ(report.failed.size(), 1u);
  EXPECT_THAT(report.failed[0], HasSubstr("broken.jpg"));
  EXPECT_FALSE(fs::exists(root() / "out/broken.jpg"));

  run({(root() / "in/a.png").string()}, (root() / "single.png").string());
  EXPECT_EQ(read_file(root() / "single.png"), read_file(root() / "out/a.png"));
  EXPECT_EQ(read(root() / "out/sub/b.webp").height, 36);

  fs::remove(root() / "out/a.png");  // as after an interruption
  const UpsampleReport again = run({(root() / "in").string()}, out);
  EXPECT_EQ(again.written, 1);
  EXPECT_EQ(again.kept, 1);
  EXPECT_EQ(read_file(root() / "single.png"), read_file(root() / "out/a.png"));
}

TEST_F(UpsampleTest, Refusals) {
  const auto refusal = [&](const std::vector<std::string>& inputs, const std::string& out,
                           const std::string& ext = "auto") {
    return pretrained::testing::error_of([&] { run(inputs, out, ext); });
  };
  write_atomically(root() / "a.png", io::encode_png(picture(4, 4)));
  write_atomically(root() / "a.webp", io::encode_webp(picture(4, 4)));
  const std::string png = (root() / "a.png").string(), webp = (root() / "a.webp").string();
  EXPECT_THAT(refusal({}, "x"), HasSubstr("no image"));
  EXPECT_THAT(refusal({png}, "x", "tiff"), HasSubstr("tiff"));
  EXPECT_THAT(refusal({png, webp}, (root() / "o").string(), "png"), HasSubstr("would both become"));
  EXPECT_THAT(refusal({png}, root().string()), HasSubstr("written over"));
  EXPECT_THAT(pretrained::testing::error_of([&] { upsampler({.scale = 100}); }), HasSubstr("scale 100"));
  EXPECT_THAT(pretrained::testing::error_of([&] { upsampler({.tile = 20}); }), HasSubstr("multiple of 8"));
  fs::remove(root() / "net/config.json");
  EXPECT_THAT(pretrained::testing::error_of([&] { upsampler(); }), HasSubstr("config.json"));
}

TEST(Bands, StripsAreThoseOfTheWhole) {
  at::manual_seed(1);
  for (const auto& [height, larger] : {std::pair<int64_t, int64_t>{96, 72}, {80, 20}, {7, 28}, {130, 65}, {64, 48}}) {
    const at::Tensor image = at::rand({2, height, 40});
    const at::Tensor whole = at::_upsample_bicubic2d_aa(image.unsqueeze(0), {larger, 30}, false)[0];
    for (int64_t first = 0; first < larger; first += 5) {
      const int64_t last = std::min(first + 5, larger);
      EXPECT_TRUE(at::allclose(resampled_rows(image, larger, 30, first, last), whole.narrow(1, first, last - first),
                               1e-5, 1e-5));
    }
    std::vector<at::Tensor> strips;
    StripResampler resampler(height, larger, 30, [&](const at::Tensor& rows) { strips.push_back(rows.clone()); });
    for (int64_t y = 0; y < height; y += 9) resampler.add(image.narrow(1, y, std::min<int64_t>(9, height - y)));
    EXPECT_TRUE(at::allclose(at::cat(strips, 1), whole, 1e-5, 1e-5)) << height << " " << larger;
  }
}

// A network that shows where in its tile a pixel lies: the sum of tiles must hide that.
TEST(Tiling, FeatherLeavesNoStepAtBorders) {
  constexpr int64_t kTile = 16, kScale = 2;
  const at::Tensor place = at::linspace(0, 0.5, kTile * kScale);
  const TileNetwork network = [&](const at::Tensor& tiles) {
    return at::upsample_nearest2d(tiles.narrow(1, 0, 3), {kTile * kScale, kTile * kScale}) * 0.5 + place;
  };
  const auto largest_step = [&](const std::string& blend, int64_t overlap) {
    std::vector<at::Tensor> rows;
    upscale(at::full({3, 40, 50}, 0.5),
            {.tile = kTile, .scale = kScale, .blend = blend, .overlap = overlap, .batch = 3}, network,
            [&](const at::Tensor& part) { rows.push_back(part.clone()); });
    const at::Tensor image = at::cat(rows, 1);
    EXPECT_EQ(image.size(1), 80);
    EXPECT_EQ(image.size(2), 100);
    return image.diff(1, 2).abs().max().item<double>();
  };
  const double inside = 0.5 / (kTile * kScale - 1);
  EXPECT_GT(largest_step("plain", 0), 20 * inside);
  EXPECT_LT(largest_step("feather", 6), 4 * inside);
}

}  // namespace
}  // namespace gigacat::upsample
