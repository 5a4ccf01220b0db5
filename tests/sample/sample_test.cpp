#include "gigacat/sample/sample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/enlarge.h"
#include "gigacat/io/image.h"
#include "gigacat/io/npy.h"
#include "gigacat/nn/state.h"
#include "gigacat/run/checkpoint.h"
#include "sample/toy_model.h"

namespace gigacat::sample {
namespace {

using testing::HasSubstr;

nn::TensorMap toy_weights(float value) {
  nn::TensorMap weights;
  for (auto& [name, tensor] : nn::state_of(*linear_toy::Network(3 * 4 * 4)))
    weights[name] = at::linspace(-value, value, tensor.numel()).view(tensor.sizes()).contiguous();
  return weights;
}

class SampleTest : public testing::Test {
 protected:
  SampleTest() : root_(fs::path(testing::TempDir()) / cat("gigacat-sample-", ::getpid())) {
    linear_toy::register_once();
    fs::remove_all(root_);
    fs::create_directories(root_ / "run");
    write_atomically(root_ / "run/config.yaml", linear_toy::kConfig);
    save(10, 0.5F);
    save(20, 1.0F);
  }
  ~SampleTest() override { fs::remove_all(root_); }

  void save(int64_t step, float value, const std::vector<std::string>& class_names = {},
            const std::string& config = linear_toy::kConfig) {
    run::CheckpointWriter writer(root_ / "run/checkpoints", 9, 0);
    run::Checkpoint checkpoint;
    checkpoint.step = step;
    checkpoint.tensors = {{"ema", toy_weights(value)}, {"generator", toy_weights(-value)}};
    checkpoint.state = {{"step", step}};
    checkpoint.config_yaml = config;
    checkpoint.class_names = class_names;
    writer.write(std::move(checkpoint));
    writer.wait();
  }

  io::Image image(const std::string& name) const {
    const std::string bytes = read_file(root_ / name);
    return io::decode_image(std::as_bytes(std::span(bytes)), name);
  }
  std::map<std::string, std::string> texts(const std::string& name) const {
    const std::string bytes = read_file(root_ / name);
    const io::PngTexts texts = io::png_texts(std::as_bytes(std::span(bytes)), name);
    return {texts.begin(), texts.end()};
  }
  nlohmann::json samples(const std::string& folder) const {
    return nlohmann::json::parse(read_file(root_ / folder / "samples.json"));
  }

  fs::path checkpoint(int64_t step) const { return run::checkpoint_path(root_ / "run/checkpoints", step); }

  SampleReport draw(SampleRequest request) const {
    if (request.from.empty()) request.from = root_ / "run";
    const auto group = dist::Group::create({}, at::kCPU);
    return write_samples(request, *group);
  }

  std::string refusal(const SampleRequest& request) const {
    try {
      draw(request);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  }

  fs::path root_;
};

TEST_F(SampleTest, FolderHoldsNumberedImages) {
  const SampleReport report = draw({.out = root_ / "out", .count = 10});
  EXPECT_EQ(report.written, 10);
  EXPECT_EQ(report.kept, 0);
  EXPECT_EQ(report.checkpoint, checkpoint(20).string());
  EXPECT_TRUE(fs::exists(root_ / "out/000009.png"));
  EXPECT_FALSE(fs::exists(root_ / "out/000010.png"));
}

TEST_F(SampleTest, GoesOnWhereItStopped) {
  draw({.out = root_ / "out", .count = 10});
  const std::string before = read_file(root_ / "out/000003.png");
  fs::remove(root_ / "out/000003.png");
  write_atomically(root_ / "out/000009.png", "cut");
  const SampleReport report = draw({.out = root_ / "out", .count = 12});
  EXPECT_EQ(report.kept, 8);
  EXPECT_EQ(report.written, 4);
  EXPECT_EQ(read_file(root_ / "out/000003.png"), before);
  EXPECT_THAT(refusal({.out = root_ / "out", .count = 12, .truncation = 0.5}), HasSubstr("truncation: 1.0 -> 0.5"));
}

TEST_F(SampleTest, AnImageDependsOnItsSeedAndLabelAlone) {
  draw({.out = root_ / "many", .labels = "1", .seeds = "0-18"});
  draw({.out = root_ / "one", .labels = "1", .seeds = "13"});
  draw({.out = root_ / "small", .labels = "1", .seeds = "0-18", .batch = 1});
  EXPECT_EQ(read_file(root_ / "one/000000.png"), read_file(root_ / "many/000013.png"));
  EXPECT_EQ(read_file(root_ / "small/000013.png"), read_file(root_ / "many/000013.png"));
  EXPECT_NE(read_file(root_ / "many/000012.png"), read_file(root_ / "many/000013.png"));
}

TEST_F(SampleTest, EveryKindOfSourceGivesTheSame) {
  draw({.out = root_ / "run-samples", .count = 2});
  draw({.from = checkpoint(20), .out = root_ / "checkpoint-samples", .count = 2});
  draw({.from = checkpoint(20) / "ema.safetensors", .out = root_ / "file-samples", .count = 2});
  draw({.from = checkpoint(10), .out = root_ / "older-samples", .count = 2});
  draw({.out = root_ / "generator-samples", .count = 2, .weights = "generator"});
  const std::string expected = read_file(root_ / "run-samples/000001.png");
  EXPECT_EQ(read_file(root_ / "checkpoint-samples/000001.png"), expected);
  EXPECT_EQ(read_file(root_ / "file-samples/000001.png"), expected);
  EXPECT_NE(read_file(root_ / "older-samples/000001.png"), expected);
  EXPECT_NE(read_file(root_ / "generator-samples/000001.png"), expected);
}

TEST_F(SampleTest, StagesComeCoarseFirst) {
  draw({.out = root_ / "all", .count = 1, .all_stages = true});
  draw({.out = root_ / "last", .count = 1});
  EXPECT_EQ(image("all/000000-1.png").pixels, image("last/000000.png").pixels);
  EXPECT_NE(image("all/000000-0.png").pixels, image("last/000000.png").pixels);
  EXPECT_EQ(texts("all/000000-0.png")["stage"], "0");
  EXPECT_EQ(texts("all/000000-1.png")["stage"], "1");
  const auto entry = samples("all")["samples"][0];
  EXPECT_EQ(entry["file"], "000000-1.png");
  EXPECT_EQ(entry["files"], (std::vector<std::string>{"000000-0.png", "000000-1.png"}));
  EXPECT_FALSE(samples("last")["samples"][0].contains("files"));
}

TEST_F(SampleTest, ImagesSayHowTheyWereDrawn) {
  draw({.out = root_ / "out", .count = 5, .seed = 9, .truncation = 0.75});
  auto said = texts("out/000004.png");
  EXPECT_THAT(said["Software"], testing::StartsWith("gigacat "));
  EXPECT_EQ(said["checkpoint"], "run/step-0000020");
  EXPECT_EQ(said["weights_crc32c"], samples("out")["weights_crc32c"].get<std::string>());
  for (const auto& [key, value] : std::map<std::string, std::string>{
           {"seed", "9"}, {"index", "4"}, {"class", "1"}, {"truncation", "0.75"}, {"guidance", "1"}})
    EXPECT_EQ(said[key], value) << key;
  EXPECT_FALSE(said.contains("class_name"));
  EXPECT_FALSE(said.contains("stage"));
  draw({.out = root_ / "seeds", .seeds = "3,8"});
  said = texts("seeds/000001.png");
  EXPECT_EQ(said["seed"], "8");
  EXPECT_FALSE(said.contains("index"));
  draw({.out = root_ / "grid.png", .count = 4, .seed = 2});
  said = texts("grid.png");
  EXPECT_EQ(said["seed"], "2");
  EXPECT_EQ(said["count"], "4");
  EXPECT_EQ(said["labels"], "all");
}

TEST_F(SampleTest, ClassesGoByTheNamesOfTheCheckpoint) {
  save(30, 2.0F, {"cat", "dog", "sea horse"});
  draw({.out = root_ / "named", .labels = "sea horse,0", .count = 4});
  draw({.out = root_ / "numbered", .labels = "2,0", .count = 4});
  for (const char* file : {"000000.png", "000001.png", "000002.png", "000003.png"})
    EXPECT_EQ(read_file(root_ / "named" / file), read_file(root_ / "numbered" / file));
  EXPECT_EQ(texts("named/000000.png")["class_name"], "sea horse");
  const auto list = samples("named")["samples"];
  EXPECT_EQ(list[0]["class"], 2);
  EXPECT_EQ(list[0]["class_name"], "sea horse");
  EXPECT_EQ(list[1]["class_name"], "cat");
  EXPECT_THAT(refusal({.out = root_ / "x", .labels = "dgo"}), HasSubstr("did you mean dog?"));
  EXPECT_THAT(refusal({.from = checkpoint(20), .out = root_ / "x", .labels = "dog"}), HasSubstr("write numbers"));
}

TEST_F(SampleTest, AGridOfListedClassesHasARowForEach) {
  draw({.out = root_ / "bare.png", .labels = "2,0", .count = 6});
  const io::Image bare = image("bare.png");
  EXPECT_EQ(bare.width, 3 * 96 + 2 * 2);
  EXPECT_EQ(bare.height, 2 * 96 + 2);
  draw({.out = root_ / "first", .labels = "2,0", .count = 1});
  EXPECT_EQ(io::crop(bare, 0, 0, 96, 96).pixels, io::enlarge(image("first/000000.png"), 24).pixels);
  save(30, 1.0F, {"cat", "dog", "sea horse"});  // the same weights
  draw({.out = root_ / "named.png", .labels = "sea horse,cat", .count = 6});
  const io::Image named = image("named.png");
  EXPECT_EQ(named.height, bare.height);
  ASSERT_GT(named.width, bare.width) << "captions";
  EXPECT_EQ(io::crop(named, 0, named.width - bare.width, bare.height, bare.width).pixels, bare.pixels);
  draw({.out = root_ / "square.png", .labels = "2", .count = 4});
  EXPECT_EQ(image("square.png").width, 2 * 96 + 2);
}

TEST_F(SampleTest, AModelWithoutClassesSpeaksOfNone) {
  std::string config = linear_toy::kConfig;
  config.replace(config.find("num_classes: 3"), 14, "num_classes: 1");
  save(30, 1.0F, {}, config);
  draw({.out = root_ / "out", .count = 2});
  const auto settings = samples("out");
  EXPECT_FALSE(settings.contains("labels"));
  EXPECT_FALSE(settings["samples"][0].contains("class"));
  EXPECT_FALSE(texts("out/000000.png").contains("class"));
  EXPECT_THAT(refusal({.out = root_ / "x", .labels = "0"}), HasSubstr("--labels: this model has no classes"));
  EXPECT_THAT(refusal({.out = root_ / "x", .prompts = {"cat"}}), HasSubstr("takes no text"));
}

TEST_F(SampleTest, AGridIsOfTheKindThatItsNameSays) {
  draw({.out = root_ / "grid.png", .count = 4});
  for (const char* name : {"grid.jpg", "grid.JPEG", "grid.webp"}) {
    draw({.out = root_ / name, .count = 4});
    const std::string bytes = read_file(root_ / name);
    const auto header = io::probe_image(std::as_bytes(std::span(bytes)), name);
    EXPECT_EQ(header.format, name == std::string("grid.webp") ? "webp" : "jpeg");
    EXPECT_EQ(header.width, image("grid.png").width);
  }
  for (const char* name : {"x.bmp", "x.npy", "x.zip", "x.gif", "x.TIFF"})
    EXPECT_THAT(refusal({.out = root_ / name, .count = 4}), HasSubstr("is written: give a folder for PNGs, a .png"));
  draw({.out = root_ / "samples.v2", .count = 1});
  EXPECT_TRUE(fs::exists(root_ / "samples.v2/000000.png"));
}

TEST_F(SampleTest, GridIsOnePicture) {
  draw({.out = root_ / "grid.png", .count = 9});
  const std::string bytes = read_file(root_ / "grid.png");
  const io::Image grid = io::decode_image(std::as_bytes(std::span(bytes)), "grid.png");
  EXPECT_EQ(grid.height, grid.width);
  EXPECT_GE(grid.height, 3 * 4);
  EXPECT_FALSE(fs::exists(root_ / "grid.png.parts"));
}

TEST_F(SampleTest, NpzHoldsTheImagesInOrderWithTheirLabels) {
  draw({.out = root_ / "s.npz", .count = 11});
  draw({.out = root_ / "s", .count = 11});
  const io::ZipFile zip(root_ / "s.npz");
  const std::string images = zip.read(zip.entries()[zip.find("arr_0.npy")]);
  const std::string labels = zip.read(zip.entries()[zip.find("arr_1.npy")]);
  const auto header = io::parse_npy(std::as_bytes(std::span(images)), images.size(), "arr_0");
  EXPECT_EQ(header.shape, (std::vector<int64_t>{11, 4, 4, 3}));
  EXPECT_EQ(io::read_npy_float(labels, "arr_1").values[4], 1);
  const std::string bytes = read_file(root_ / "s/000010.png");
  const io::Image last = io::decode_image(std::as_bytes(std::span(bytes)), "last");
  const std::string_view tail = std::string_view(images).substr(images.size() - 48);
  EXPECT_EQ(std::string(last.pixels.begin(), last.pixels.end()), tail);
  EXPECT_FALSE(fs::exists(root_ / "s.npz.parts"));
}

TEST_F(SampleTest, RefusesWhatCannotBeSampled) {
  EXPECT_THAT(refusal({.from = root_ / "nowhere", .out = root_ / "x"}), HasSubstr("nothing to sample from"));
  EXPECT_THAT(refusal({.out = root_ / "x", .weights = "best"}), HasSubstr("ema or generator"));
  EXPECT_THAT(refusal({.out = root_ / "x", .labels = "3"}), HasSubstr("3 classes"));
  EXPECT_THAT(refusal({.out = root_ / "x.npz", .all_stages = true}), HasSubstr("--all-stages"));
  EXPECT_THAT(refusal({}), HasSubstr("no output"));
  fs::remove_all(root_ / "run/checkpoints");
  EXPECT_THAT(refusal({.out = root_ / "x"}), HasSubstr("holds no checkpoint yet"));
  EXPECT_FALSE(fs::exists(root_ / "x"));
}

TEST_F(SampleTest, RefusesADamagedCheckpointAndTakesTheOneBefore) {
  const fs::path file = checkpoint(20) / "ema.safetensors";
  std::string bytes = read_file(file);
  bytes.back() ^= 1;
  write_atomically(file, bytes);
  EXPECT_THAT(refusal({.from = checkpoint(20), .out = root_ / "x"}), HasSubstr("not a whole checkpoint"));
  EXPECT_EQ(draw({.out = root_ / "x", .count = 1}).checkpoint, checkpoint(10).string());
}

TEST_F(SampleTest, RefusesWeightsOfAnotherModel) {
  fs::create_directories(root_ / "other");
  write_atomically(root_ / "other/config.yaml", linear_toy::kConfig);
  nn::write_tensors(root_ / "other/g.safetensors", {{"body.weight", at::zeros({2, 2})}});
  const SampleRequest request{.from = root_ / "other/g.safetensors", .out = root_ / "x"};
  EXPECT_THROW(draw(request), Error);
  EXPECT_THAT(refusal({.from = checkpoint(20) / "COMMIT", .out = root_ / "x"}), HasSubstr("nothing to sample from"));
}

}  // namespace
}  // namespace gigacat::sample
