#include "gigacat/eval/evaluate.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include <iterator>

#include "core/temporary_folder.h"
#include "eval/feature_extraction.h"
#include "eval/prefetch.h"
#include "eval/toy_network.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::eval {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class Evaluate : public ::testing::Test {
 protected:
  Evaluate() { networks_.put("inception", std::make_unique<ToyNetwork>()); }

  // Features of all images of a set at once.
  at::Tensor features(int64_t seed, int64_t count, const std::string& name) {
    ToyNetwork network;
    std::vector<at::Tensor> rows;
    for (int64_t i = 0; i < count; ++i) {
      at::Tensor planes = at::empty({1, 3, 4, 4});
      network.prepare(toy_image(seed, i), i, planes.data_ptr<float>());
      rows.push_back(network.run(planes).at(name));
    }
    return at::cat(rows).to(at::kDouble);
  }

  Gaussian gaussian(int64_t seed, int64_t count, const std::string& name) {
    Moments moments;
    moments.add(features(seed, count, name));
    return moments.gaussian();
  }

  // A folder of PNGs of toy images.
  std::string folder(const std::string& name, int64_t seed, int64_t count) {
    fs::create_directories(folder_ / name);
    for (int64_t i = 0; i < count; ++i)
      write_atomically(folder_ / name / cat(1000 + i, ".png"), io::encode_png(toy_image(seed, i)));
    return (folder_ / name).string();
  }

  std::vector<Result> run(const std::vector<std::string>& metrics, const Side& real, const Side& fake) {
    return evaluate({.metrics = metrics, .batch = 8, .cache = cache_, .quiet = true}, real, fake, networks_, *group_);
  }

  TemporaryFolder folder_;
  std::string cache_;
  FeatureNetworks networks_{WeightFiles(), "adm", at::kCPU};
  std::shared_ptr<dist::Group> group_ = dist::Group::create({}, at::kCPU);
};

TEST_F(Evaluate, SeveralMetricsOfOnePassAreThoseOfTheFeatures) {
  const Side real{toy_images(0, 61), {}, "real"}, fake{toy_images(1, 50), {}, "fake"};
  const auto results = run({"fid", "sfid", "is", "pr", "dc", "diversity", "fid"}, real, fake);
  ASSERT_EQ(results.size(), 6u);
  const auto near = [](double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); };
  EXPECT_TRUE(near(results[0].values[0].second, frechet_distance(gaussian(0, 61, "pool"), gaussian(1, 50, "pool"))));
  EXPECT_TRUE(
      near(results[1].values[0].second, frechet_distance(gaussian(0, 61, "spatial"), gaussian(1, 50, "spatial"))));
  InceptionScore inception({50}, 7);
  inception.add(features(1, 50, "logits"), 0);
  EXPECT_TRUE(near(results[2].values[0].second, inception.score().mean));
  const PrecisionRecall pr = precision_recall(features(0, 61, "pool"), features(1, 50, "pool"), 3);
  EXPECT_EQ(results[3].values,
            (std::vector<std::pair<std::string, double>>{{"precision", pr.precision}, {"recall", pr.recall}}));
  EXPECT_EQ(results[0].values[0].first, "fid");
  EXPECT_EQ(results[2].values[1].first, "is_std");
  EXPECT_EQ(results[0].real_images, 61);
  EXPECT_EQ(results[2].real, "");
  EXPECT_EQ(results[0].weights.at("inception"), "toy");
  EXPECT_THAT(to_line(results[0]), HasSubstr("truncation 0.7"));
  EXPECT_EQ(to_json(results[0])["description"]["truncation"], "0.7");
}

TEST_F(Evaluate, StoredImagesAndStatisticsGiveTheSame) {
  const Side drawn{toy_images(0, 40), {}, "drawn"}, fake{toy_images(1, 40), {}, "fake"};
  const double expected = run({"fid"}, drawn, fake)[0].values[0].second;
  const std::string path = folder("real", 0, 40);
  const Side stored = open_side(path);
  EXPECT_EQ(stored.images->size(), 40);
  EXPECT_NEAR(run({"fid"}, stored, fake)[0].values[0].second, expected, 1e-9 * expected);
  write_statistics(folder_ / "real.npz", measure(*stored.images, {}, networks_, *group_));
  const Side statistics = open_side((folder_ / "real.npz").string());
  const auto results = run({"fid", "sfid"}, statistics, fake);
  EXPECT_NEAR(results[0].values[0].second, expected, 1e-9 * expected);
  EXPECT_EQ(results[0].real_images, 40);
  EXPECT_THAT(error_of([&] { run({"kid"}, statistics, fake); }), HasSubstr("holds statistics"));
  EXPECT_THAT(error_of([&] { run({"patch-fid"}, statistics, fake); }), HasSubstr("no statistics for patch-fid"));
  FeatureNetworks other(WeightFiles(), "clean", at::kCPU);
  other.put("inception", std::make_unique<ToyNetwork>());
  EXPECT_THAT(error_of([&] { evaluate({.metrics = {"fid"}}, statistics, fake, other, *group_); }),
              HasSubstr("protocol adm, not clean"));
}

TEST_F(Evaluate, RealStatisticsAreKeptUnderTheContent) {
  cache_ = (folder_ / "cache").string();
  const Side fake{toy_images(1, 30), {}, "fake"};
  const double first = run({"fid"}, open_side(folder("a", 0, 30)), fake)[0].values[0].second;
  const auto files = [&] { return std::distance(fs::directory_iterator(folder_ / "cache/statistics"), {}); };
  EXPECT_EQ(files(), 1);
  EXPECT_EQ(run({"fid"}, open_side(folder("b", 0, 30)), fake)[0].values[0].second, first);  // equal content elsewhere
  EXPECT_EQ(files(), 1);
  run({"fid"}, open_side(folder("c", 0, 31)), fake);
  EXPECT_EQ(files(), 2);
}

TEST_F(Evaluate, PairsAreMatchedByName) {
  const Side real = open_side(folder("real", 0, 12)), same = open_side(folder("same", 0, 12));
  EXPECT_EQ(run({"psnr"}, real, same)[0].values[0].second, INFINITY);
  EXPECT_THAT(to_line(run({"psnr"}, real, same)[0]), HasSubstr("psnr inf"));
  EXPECT_EQ(to_json(run({"psnr"}, real, same)[0])["results"]["psnr"], "inf");
  write_atomically(folder_ / "same/odd.png", io::encode_png(toy_image(0, 5)));
  EXPECT_THAT(error_of([&] { run({"psnr"}, real, open_side((folder_ / "same").string())); }),
              HasSubstr("odd has no partner"));
  EXPECT_THAT(error_of([&] { run({"ssim"}, real, open_side((folder_ / "real").string())); }), HasSubstr("11 pixels"));
}

TEST_F(Evaluate, Refusals) {
  const Side real{toy_images(0, 20), {}, "real"}, fake{toy_images(1, 20), {}, "fake"};
  EXPECT_THAT(error_of([&] { run({"fidd"}, real, fake); }), HasSubstr("did you mean fid?"));
  EXPECT_THAT(error_of([&] { run({}, real, fake); }), HasSubstr("no metric"));
  EXPECT_THAT(error_of([&] { run({"fid"}, {}, fake); }), HasSubstr("--real"));
  EXPECT_THAT(error_of([&] { run({"fid"}, real, {}); }), HasSubstr("--fake"));
  EXPECT_THAT(error_of([&] { run({"kid"}, real, fake); }), HasSubstr("subsets of 1000"));
  EXPECT_THAT(error_of([&] { evaluate({.metrics = {"fid"}, .fake_count = 21}, real, fake, networks_, *group_); }),
              HasSubstr("20 images, not 21"));
}

TEST_F(Evaluate, BrokenImagesAndFeaturesAreNamed) {
  const std::string path = folder("real", 0, 20);
  write_atomically(fs::path(path) / "1007.png", "no image");
  const Side fake{toy_images(1, 20), {}, "fake"};
  EXPECT_THAT(error_of([&] { run({"fid"}, open_side(path), fake); }), HasSubstr("1007.png"));
  networks_.put("inception", std::make_unique<ToyNetwork>(NAN));
  EXPECT_THAT(error_of([&] { run({"is"}, {}, fake); }), HasSubstr("not finite"));
}

TEST_F(Evaluate, DuplicatesAndSizesAreCounted) {
  const std::string path = folder("real", 0, 9);
  write_atomically(fs::path(path) / "2000.png", io::encode_png(toy_image(0, 3)));
  write_atomically(fs::path(path) / "2001.png", io::encode_png(io::Image{5, 30, 3, std::vector<uint8_t>(450, 9)}));
  const ExtractedFeatures extracted =
      extract_features(*open_images(path), {{{"inception", "pool"}, {.moments = true}}}, networks_,
                       {.title = "", .count = 11, .batch = 4, .threads = 3}, *group_);
  EXPECT_EQ(extracted.duplicates, 1);
  EXPECT_EQ(extracted.least_height, 5);
  EXPECT_EQ(extracted.most_height, 9);
  EXPECT_EQ(extracted.least_width, 7);
  EXPECT_EQ(extracted.most_width, 30);
}

TEST(Shares, AreWholeBatchesAndCoverAll) {
  for (const int64_t count : {1, 16, 17, 100})
    for (const int world : {1, 2, 3, 8}) {
      int64_t next = 0;
      for (int rank = 0; rank < world; ++rank) {
        const auto [first, last] = share_of(count, 16, rank, world);
        EXPECT_EQ(first, next);
        EXPECT_TRUE(last % 16 == 0 || last == count);
        next = last;
      }
      EXPECT_EQ(next, count);
    }
}

TEST_F(Evaluate, BatchesComeInOrderWhateverTheThreads) {
  const auto images = open_images(folder("real", 0, 37));
  ToyNetwork network;
  for (const int64_t threads : {1, 4}) {
    Prefetcher prefetcher(*images, 3, 37, {&network}, 5, threads);
    int64_t next = 3;
    for (PreparedBatch batch; prefetcher.next(batch); next += batch.count) {
      EXPECT_EQ(batch.first, next);
      for (int64_t i = 0; i < batch.count; ++i) {
        at::Tensor planes = at::empty({3, 4, 4});
        network.prepare(toy_image(0, next + i), 0, planes.data_ptr<float>());
        EXPECT_TRUE(batch.planes[0][i].equal(planes)) << next + i;
      }
    }
    EXPECT_EQ(next, 37);
  }
  Prefetcher left(*images, 0, 37, {&network}, 5, 2);  // not used up: ends all the same
  PreparedBatch batch;
  left.next(batch);
}

}  // namespace
}  // namespace gigacat::eval
