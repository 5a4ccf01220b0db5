#include "gigacat/eval/evaluate.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
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
  EXPECT_EQ(to_json(results[0])["description"]["truncation"], 0.7);
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
  const auto mixed = run({"kid", "fid", "patch-fid"}, statistics, fake);
  ASSERT_EQ(mixed.size(), 3u);
  EXPECT_EQ(mixed[0].values, results[0].values) << "the others do not cost it";
  EXPECT_FALSE(mixed[0].is_refused);
  EXPECT_THAT(mixed[1].error, HasSubstr("holds statistics"));
  EXPECT_THAT(mixed[2].error, HasSubstr("no statistics for patch-fid"));
  EXPECT_TRUE(mixed[1].is_refused && mixed[2].is_refused);
  FeatureNetworks other(WeightFiles(), "clean", at::kCPU);
  other.put("inception", std::make_unique<ToyNetwork>());
  EXPECT_THAT(evaluate({.metrics = {"fid"}}, statistics, fake, other, *group_)[0].error,
              HasSubstr("protocol adm, not clean"));
}

TEST_F(Evaluate, RealStatisticsAreKeptUnderNamesSizesAndTimes) {
  cache_ = (folder_ / "cache").string();
  const Side fake{toy_images(1, 30), {}, "fake"};
  const double first = run({"fid"}, open_side(folder("a", 0, 30)), fake)[0].values[0].second;
  const auto files = [&] { return std::distance(fs::directory_iterator(folder_ / "cache/statistics"), {}); };
  EXPECT_EQ(files(), 1);
  folder("b", 0, 30);  // a copy that keeps the times
  for (const auto& entry : fs::directory_iterator(folder_ / "b"))
    fs::last_write_time(entry, fs::last_write_time(folder_ / "a" / entry.path().filename()));
  EXPECT_EQ(run({"fid"}, open_side((folder_ / "b").string()), fake)[0].values[0].second, first);
  EXPECT_EQ(files(), 1);
  const fs::path one = folder_ / "b/1007.png";  // as if replaced by another picture of its size
  fs::last_write_time(one, fs::last_write_time(one) + std::chrono::nanoseconds(1000));
  run({"fid"}, open_side((folder_ / "b").string()), fake);
  EXPECT_EQ(files(), 2);
  run({"fid"}, open_side(folder("c", 0, 31)), fake);
  EXPECT_EQ(files(), 3);
}

TEST_F(Evaluate, PairsAreMatchedByName) {
  const Side real = open_side(folder("real", 0, 12)), same = open_side(folder("same", 0, 12));
  const Result equal = run({"psnr"}, real, same)[0];
  EXPECT_EQ(equal.values, (Values{{"psnr", INFINITY}}));
  EXPECT_THAT(to_line(equal), HasSubstr("psnr inf"));
  EXPECT_TRUE(to_json(equal)["results"]["psnr"].is_null());
  EXPECT_EQ(to_json(equal)["notes"]["psnr"], "infinite: 12 of 12 pairs are of equal images");
  EXPECT_THAT(run({"ssim"}, real, same)[0].error, HasSubstr("11 pixels"));
}

TEST_F(Evaluate, ImagesWithoutAPartnerAreCountedAndNamed) {
  const Side real = open_side(folder("real", 0, 12));
  folder("fake", 1, 9);
  write_atomically(folder_ / "fake/odd.png", io::encode_png(toy_image(0, 5)));
  write_atomically(folder_ / "fake/1004.png", io::encode_png(toy_image(0, 4)));  // equal to its partner
  const Result result = run({"psnr"}, real, open_side((folder_ / "fake").string()))[0];
  EXPECT_EQ(result.real_images, 9);
  EXPECT_THAT(result.notes.at("missing_fake"), HasSubstr("3 of the 12 images of "));
  EXPECT_THAT(result.notes.at("missing_fake"), HasSubstr("1009, 1010, 1011"));
  EXPECT_THAT(result.notes.at("missing_real"), HasSubstr("odd"));
  ASSERT_EQ(result.values.size(), 3u);
  EXPECT_EQ(result.values[1].first, "psnr_unequal");
  EXPECT_TRUE(std::isfinite(result.values[1].second) && std::isfinite(result.values[2].second));
  folder("other", 1, 0);
  write_atomically(folder_ / "other/odd.png", io::encode_png(toy_image(0, 5)));
  EXPECT_THAT(run({"psnr"}, real, open_side((folder_ / "other").string()))[0].error, HasSubstr("no image of"));
}

TEST_F(Evaluate, TwoFilesOfOneNameAreNoPair) {
  const Side real = open_side(folder("real", 0, 12));
  folder("fake", 1, 12);
  fs::create_directories(folder_ / "fake");
  write_atomically(folder_ / "fake/1008.bmp", "another picture");
  const Side fake = open_side((folder_ / "fake").string());
  EXPECT_THAT(run({"psnr"}, real, fake)[0].error, HasSubstr("two images called 1008"));
  EXPECT_THAT(run({"psnr"}, fake, real)[0].error, HasSubstr("two images called 1008"));
}

TEST_F(Evaluate, PairsOfOtherSizesAreLeftOut) {
  const Side real = open_side(folder("real", 0, 12));
  folder("fake", 1, 12);
  write_atomically(folder_ / "fake/1003.png", io::encode_png(io::Image{5, 30, 3, std::vector<uint8_t>(450, 9)}));
  const Side fake = open_side((folder_ / "fake").string());
  const Result result = run({"psnr"}, real, fake)[0];
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.real_images, 11);
  EXPECT_TRUE(std::isfinite(result.values.at(0).second));
  EXPECT_THAT(result.notes.at("incomparable"), HasSubstr("1 of the 12 pairs cannot be compared, the first: "));
  EXPECT_THAT(result.notes.at("incomparable"), HasSubstr("fake/1003: images of 7x9 and 30x5 pixels"));
}

TEST_F(Evaluate, RandomSamplesHaveNoPartners) {
  folder("real", 0, 3);
  for (int64_t i = 0; i < 3; ++i)  // the names that samples have
    fs::rename(folder_ / "real" / cat(1000 + i, ".png"), folder_ / "real" / cat(i, ".png"));
  const Side real = open_side((folder_ / "real").string()), fake{toy_images(1, 3), {}, "fake"};
  const auto results = run({"psnr", "clip", "fid"}, real, fake);
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].metric, "fid");
  EXPECT_EQ(results[0].error, "");
  EXPECT_THAT(results[1].error, HasSubstr("captions"));
  EXPECT_THAT(results[2].error, HasSubstr("random samples have no partners"));
  EXPECT_EQ(fault_of_samples("fid"), "");
  EXPECT_NE(fault_of_samples("lpips"), "");
}

TEST_F(Evaluate, ImagesWithoutCaptionsCostOnlyTheirMetric) {
  const std::string path = folder("fake", 1, 5);
  const Side real{toy_images(0, 5), {}, "real"};
  const auto results = run({"clip", "fid"}, real, open_side(path, /*captions=*/true));
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].error, "");
  EXPECT_THAT(results[1].error, HasSubstr("1000 has no caption to compare it with"));
  EXPECT_TRUE(results[1].is_refused);
}

// A metric that fails leaves the others their values.
TEST_F(Evaluate, FailedMetricsDoNotCostTheOthers) {
  const Side real{toy_images(0, 20), {}, "real"}, fake{toy_images(1, 3), {}, "fake"};
  const auto results = run({"fid", "pr", "is"}, real, fake);
  EXPECT_GT(results[0].values.at(0).second, 0);
  EXPECT_THAT(results[1].error, HasSubstr("3-th neighbour of 3 images"));
  EXPECT_TRUE(results[1].values.empty());
  EXPECT_THAT(to_line(results[1]), HasSubstr("pr could not be computed: "));
  EXPECT_TRUE(to_json(results[1])["results"]["pr"].is_null());
  EXPECT_EQ(to_json(results[1])["error"], results[1].error);
  EXPECT_GT(results[2].values.at(0).second, 0);
  networks_.put("patch", std::make_unique<ToyNetwork>(NAN));
  const auto others = run({"fid", "patch-fid"}, real, fake);
  EXPECT_EQ(others[0].values, results[0].values);
  EXPECT_THAT(others[1].error, HasSubstr("not finite"));
}

TEST_F(Evaluate, SubsetsOfKidFitTheSides) {
  const Side real{toy_images(0, 20), {}, "real"}, fake{toy_images(1, 12), {}, "fake"};
  const Result result = run({"kid"}, real, fake)[0];
  EXPECT_EQ(result.notes.at("subset"), "100 subsets of 12 images");
  const Score expected = kernel_distance(features(0, 20, "pool").to(at::kFloat), features(1, 12, "pool").to(at::kFloat),
                                         {.subset_size = 12});
  EXPECT_NEAR(result.values[0].second, expected.mean, 1e-6 * std::abs(expected.mean));
  const auto chosen = evaluate({.metrics = {"kid"}, .kid_subset = 5}, real, fake, networks_, *group_);
  EXPECT_EQ(chosen[0].notes.at("subset"), "100 subsets of 5 images");
  const Side one{toy_images(1, 1), {}, "one"};
  EXPECT_THAT(run({"kid"}, real, one)[0].error, HasSubstr("two images at least"));
}

TEST_F(Evaluate, DistancesOfEqualSetsAreZeroAndNotNegative) {
  const Side set{toy_images(0, 15), {}, "set"};
  const double fid = run({"fid"}, set, set)[0].values[0].second;
  EXPECT_GE(fid, 0);
  EXPECT_LT(fid, 1e-6);
}

TEST_F(Evaluate, StatisticsThatDoNotStateTheirProtocolAreUnknown) {
  const Side fake{toy_images(1, 30), {}, "fake"};
  Side real{nullptr, measure(*toy_images(0, 30), {}, networks_, *group_), "real.npz"};
  EXPECT_EQ(run({"fid"}, real, fake)[0].protocol, "adm");
  real.statistics->description.clear();
  const Result result = run({"fid"}, real, fake)[0];
  EXPECT_EQ(result.protocol, "real unknown, fake adm");
  EXPECT_EQ(result.weights.at("inception"), "real unknown, fake toy");
  const Result both = run({"fid"}, real, real)[0];
  EXPECT_EQ(both.protocol, "unknown");
  EXPECT_TRUE(both.weights.empty());
}

TEST_F(Evaluate, SlicedWassersteinNeedsNoNetwork) {
  const auto images = [](int64_t count, int64_t seed, int step) {
    return generated_images("ramps", count,
                            [=](int64_t first, int64_t last) {
                              std::vector<io::Image> set;
                              for (int64_t i = first; i < last; ++i) {
                                io::Image image{40, 36, 3, {}};
                                for (int64_t k = 0; k < 40 * 36 * 3; ++k)
                                  image.pixels.push_back(static_cast<uint8_t>((k * step + i * 37 + seed) % 256));
                                set.push_back(std::move(image));
                              }
                              return set;
                            },
                            {});
  };
  FeatureNetworks none(WeightFiles(), "adm", at::kCPU);
  const auto swd = [&](int64_t count, int64_t seed, int step) {
    const Side real{images(60, 0, 7), {}, "real"}, fake{images(count, seed, step), {}, "fake"};
    return evaluate({.metrics = {"swd"}, .batch = 8, .quiet = true}, real, fake, none, *group_)[0];
  };
  const Result same = swd(60, 0, 7), near = swd(50, 11, 7), far = swd(50, 0, 90);
  EXPECT_EQ(same.values[0].second, 0);
  EXPECT_EQ(same.protocol, "pyramid-32");
  EXPECT_EQ(near.real_images, 50);
  ASSERT_EQ(near.values.size(), 3u);
  EXPECT_EQ(near.values[1].first, "swd_32");
  EXPECT_EQ(near.values[2].first, "swd_16");
  EXPECT_GT(near.values[0].second, 0);
  EXPECT_GT(far.values[0].second, 2 * near.values[0].second);
  const Side small{toy_images(0, 9), {}, "small"};
  EXPECT_THAT(run({"fid", "swd"}, small, small)[1].error, HasSubstr("16 pixels at least"));
}

TEST_F(Evaluate, Refusals) {
  const Side real{toy_images(0, 20), {}, "real"}, fake{toy_images(1, 20), {}, "fake"};
  EXPECT_THAT(error_of([&] { run({"fidd"}, real, fake); }), HasSubstr("did you mean fid?"));
  EXPECT_THAT(error_of([&] { run({}, real, fake); }), HasSubstr("no metric"));
  EXPECT_THAT(error_of([&] { run({"fid"}, {}, fake); }), HasSubstr("--real"));
  EXPECT_THAT(error_of([&] { run({"fid"}, real, {}); }), HasSubstr("--fake"));
  EXPECT_THAT(error_of([&] { evaluate({.metrics = {"fid"}, .fake_count = 21}, real, fake, networks_, *group_); }),
              HasSubstr("20 images, not 21"));
}

TEST_F(Evaluate, BrokenImagesAndFeaturesAreNamed) {
  const std::string path = folder("real", 0, 20);
  write_atomically(fs::path(path) / "1007.png", "no image");
  const Side fake{toy_images(1, 20), {}, "fake"};
  const auto results = run({"fid", "is"}, open_side(path), fake);
  EXPECT_THAT(results[0].error, HasSubstr("1007.png"));
  EXPECT_EQ(results[1].error, "") << "it needs no real side";
  networks_.put("inception", std::make_unique<ToyNetwork>(NAN));
  EXPECT_THAT(run({"is"}, {}, fake)[0].error, HasSubstr("not finite"));
}

TEST_F(Evaluate, UnreadableImagesAreLeftOutUpToAShare) {
  const std::string path = folder("real", 0, 40);
  for (const int64_t i : {0, 7, 8}) write_atomically(fs::path(path) / cat(1000 + i, ".png"), "no image");
  const Side fake{toy_images(1, 40), {}, "fake"};
  const auto tolerant = [&](const std::vector<std::string>& metrics, const Side& a, const Side& b) {
    return evaluate({.metrics = metrics, .batch = 8, .max_bad_fraction = 0.1, .quiet = true}, a, b, networks_, *group_);
  };
  const auto results = tolerant({"fid", "kid", "is", "psnr"}, open_side(path), open_side(folder("same", 0, 40)));
  for (const Result& result : results) EXPECT_EQ(result.error, "") << result.metric;
  EXPECT_EQ(results[0].real_images, 37);
  EXPECT_EQ(results[0].fake_images, 40);
  EXPECT_THAT(results[0].notes.at("unreadable_real"), HasSubstr("3 of 40 images of "));
  EXPECT_THAT(results[0].notes.at("unreadable_real"), HasSubstr("1000.png"));
  EXPECT_EQ(results[1].notes.at("subset"), "100 subsets of 37 images");
  EXPECT_EQ(results[3].real_images, 37);
  EXPECT_THAT(results[3].notes.at("unreadable"), HasSubstr("3 of 40 pairs cannot be read"));
  // The numbers are those of the images that are left.
  folder("rest", 0, 40);
  for (const int64_t i : {0, 7, 8}) fs::remove(folder_ / "rest" / cat(1000 + i, ".png"));
  const Side rest = open_side((folder_ / "rest").string());
  EXPECT_NEAR(tolerant({"fid"}, open_side(path), fake)[0].values.at(0).second,
              tolerant({"fid"}, rest, fake)[0].values.at(0).second, 1e-3);
  EXPECT_EQ(tolerant({"pr"}, open_side(path), fake)[0].values, tolerant({"pr"}, rest, fake)[0].values);
  EXPECT_THAT(run({"fid"}, open_side(path), fake)[0].error, HasSubstr(" of 40 images of "));
  const StatisticsFile file = measure(*open_images(path), {.max_bad_fraction = 0.1}, networks_, *group_);
  EXPECT_EQ(file.description.at("images"), "37");
  EXPECT_THAT(file.description.at("unreadable"), HasSubstr("3 of 40"));
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
