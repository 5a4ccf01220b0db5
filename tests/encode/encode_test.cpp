#include "gigacat/encode/encode.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <span>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/data/source.h"
#include "gigacat/io/image.h"
#include "gigacat/io/npy.h"
#include "gigacat/nn/state.h"
#include "gigacat/pretrained/taesd.h"
#include "pretrained/helpers.h"

namespace gigacat::encode {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kImages = 5, kSide = 16;

class EncodeTest : public ::testing::Test {
 protected:
  EncodeTest() : root_(fs::path(testing::TempDir()) / cat("gigacat-encode-", ::getpid())) {
    fs::remove_all(root_);
    fs::create_directories(root_ / "images/a");
    fs::create_directories(root_ / "images/b");
    nn::write_tensors(root_ / "taesd.safetensors",
                      pretrained::testing::random_state(*pretrained::Taesd(pretrained::TaesdConfig{})));
    for (int64_t i = 0; i < kImages; ++i) {
      io::Image image{kSide, kSide, 3, std::vector<uint8_t>(kSide * kSide * 3)};
      for (size_t p = 0; p < image.pixels.size(); ++p) image.pixels[p] = static_cast<uint8_t>(p * (i + 3) % 251);
      write_atomically(root_ / "images" / (i < 3 ? "a" : "b") / cat(i, ".png"), io::encode_png(image));
    }
  }
  ~EncodeTest() override { fs::remove_all(root_); }

  // Defaults with the overrides on top.
  EncodeRequest request(const std::string& out, std::vector<std::string> values = {}) const {
    EncodeRequest made;
    made.out = root_ / out;
    config::Binder binder;
    binder.section("data", made.data, "");
    binder.section("autoencoder", made.autoencoder, "");
    binder.section("encode", made.encode, "");
    values.insert(values.begin(), {"data.path=" + (root_ / "images").string(), "data.resolution=16",
                                   "data.max_bad_fraction=0.3", "autoencoder.kind=taesd",
                                   "autoencoder.weights=" + (root_ / "taesd.safetensors").string(), "encode.piece=2"});
    config::Document::parse("", "test", values).apply(binder);
    return made;
  }
  static EncodeReport run(const EncodeRequest& made) { return encode_images(made, *dist::Group::create({}, at::kCPU)); }
  std::string refusal(const EncodeRequest& made) const {
    try {
      run(made);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  std::unique_ptr<data::Source> open(const std::string& out) const {
    data::DataConfig config;
    config::Binder binder;
    binder.section("data", config, "");
    config::Document::parse("", "test", {"data.path=" + (root_ / out).string(), "data.resolution=2", "data.channels=4"})
        .apply(binder);
    return data::open_source(config);
  }
  // Sample i of a finished set, [C, h, w].
  static at::Tensor latent(const data::Source& source, int64_t i) {
    const io::FloatArray array = io::read_npy_float(source.read(i).bytes, "latent");
    return at::tensor(array.values).view(array.shape);
  }
  // What the autoencoder itself makes of image i.
  at::Tensor expected(int64_t i, bool flip) const {
    const std::string bytes = read_file(root_ / "images" / (i < 3 ? "a" : "b") / cat(i, ".png"));
    const io::Image image = io::decode_image(std::as_bytes(std::span(bytes)), "image");
    at::Tensor pixels = at::tensor(at::ArrayRef<uint8_t>(image.pixels), at::kByte).view({1, kSide, kSide, 3});
    pixels = pixels.permute({0, 3, 1, 2}).to(at::kFloat) / 127.5 - 1;
    if (flip) pixels = pixels.flip(3);
    const EncodeRequest made = request("unused");
    return pretrained::make_autoencoder(made.autoencoder, at::kCPU)->encode(pixels)[0];
  }

  fs::path root_;
};

TEST_F(EncodeTest, ShardsHoldTheAutoencodersLatents) {
  const EncodeReport report = run(request("out"));
  EXPECT_EQ(report.written, kImages);
  EXPECT_EQ(report.bad, 0);
  EXPECT_THAT(report.latent, ElementsAre(4, 2, 2));
  EXPECT_TRUE(fs::exists(root_ / "out/latents-000002.tar"));
  EXPECT_FALSE(fs::exists(root_ / "out/.encode"));

  const auto source = open("out");
  EXPECT_EQ(source->content(), data::Content::latent);
  ASSERT_EQ(source->size(), kImages);
  double sum = 0;
  for (int64_t i = 0; i < kImages; ++i) {
    EXPECT_LT((latent(*source, i) - expected(i, false)).abs().max().item<double>(), 1e-5) << i;
    EXPECT_EQ(source->label(i), i < 3 ? 0 : 1);
    sum += latent(*source, i).mean().item<double>();
  }
  EXPECT_NEAR(report.mean, sum / kImages, 1e-6);
  const auto provenance = nlohmann::json::parse(source->provenance());
  EXPECT_EQ(provenance["samples"], kImages);
  EXPECT_THAT(provenance["settings"]["autoencoder"].get<std::string>(), HasSubstr("taesd "));
}

TEST_F(EncodeTest, RepaLayoutWithMirrorImages) {
  EXPECT_EQ(run(request("out", {"encode.layout=repa", "encode.flip=true"})).written, 2 * kImages);
  const auto source = open("out");
  ASSERT_EQ(source->size(), 2 * kImages);
  EXPECT_EQ(source->label(9), 1);
  EXPECT_LT((latent(*source, 8) - expected(4, false)).abs().max().item<double>(), 1e-5);
  EXPECT_LT((latent(*source, 9) - expected(4, true)).abs().max().item<double>(), 1e-5);
  EXPECT_TRUE(fs::exists(root_ / "out/images/00000/img00000009.png"));
}

TEST_F(EncodeTest, GoesOnWhereItStopped) {
  run(request("whole"));
  run(request("out"));
  // As after a kill in the second piece: its note and shard are not there, nor is provenance.json.
  const std::string settings =
      nlohmann::ordered_json::parse(read_file(root_ / "out/provenance.json"))["settings"].dump();
  fs::remove(root_ / "out/provenance.json");
  fs::remove(root_ / "out/latents-000001.tar");
  fs::create_directories(root_ / "out/.encode");
  write_atomically(root_ / "out/.encode/settings.json", settings);
  const auto note = [&](int piece, int samples) {
    write_atomically(root_ / cat("out/.encode/piece-00000", piece, ".json"),
                     cat(R"({"samples":)", samples, R"(,"bad":[],"labels":[],"elements":0,"sum":0,"squares":0})"));
  };
  note(0, 2);
  note(2, 1);
  const EncodeReport report = run(request("out"));
  EXPECT_EQ(report.written, kImages);
  EXPECT_EQ(report.kept, 3);
  EXPECT_EQ(read_file(root_ / "out/latents-000001.tar"), read_file(root_ / "whole/latents-000001.tar"));
  EXPECT_EQ(run(request("out")).kept, kImages);  // complete: nothing is left to do
}

TEST_F(EncodeTest, BadImagesAreLeftOutAndNamed) {
  write_atomically(root_ / "images/a/broken.png", "no image");
  const EncodeReport report = run(request("out"));
  EXPECT_EQ(report.written, kImages);
  EXPECT_EQ(report.bad, 1);
  EXPECT_THAT(report.first_bad.at(0), HasSubstr("broken.png"));
  EXPECT_THAT(refusal(request("strict", {"data.max_bad_fraction=0"})), HasSubstr("broken.png"));
}

TEST_F(EncodeTest, Refusals) {
  run(request("out"));
  EXPECT_THAT(refusal(request("out", {"encode.flip=true"})), HasSubstr("flip: false -> true"));
  EXPECT_THAT(refusal(request("images")), HasSubstr("did not make"));
  EXPECT_THAT(refusal(request("new", {"data.resolution=12"})), HasSubstr("no multiple"));
  EXPECT_THAT(refusal(request("new", {"data.crop=random"})), HasSubstr("data.crop"));
  EXPECT_THAT(refusal(request("new", {"data.path=" + (root_ / "out").string(), "data.channels=4"})),
              HasSubstr("no image files"));
}

}  // namespace
}  // namespace gigacat::encode
