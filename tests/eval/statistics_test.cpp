#include "gigacat/eval/statistics.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <chrono>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/npy.h"

namespace gigacat::eval {
namespace {

using ::testing::HasSubstr;

at::Tensor draw(int64_t rows, int64_t width, uint64_t seed) {
  torch::manual_seed(seed);
  return at::randn({rows, width}, at::kDouble);
}

Gaussian gaussian(const at::Tensor& features) {
  Moments moments;
  moments.add(features);
  return moments.gaussian();
}

double off(const at::Tensor& a, const at::Tensor& b) { return ((a - b).abs().max() / b.abs().max()).item<double>(); }

TEST(Moments, AreThoseOfTheWholeMatrix) {
  // A mean that is large compared to the deviation costs no digits.
  const at::Tensor x = draw(1000, 12, 1) + 1e6;
  Moments streamed;
  for (const at::Tensor& block : x.split(77)) streamed.add(block);
  const Gaussian g = streamed.gaussian();
  EXPECT_EQ(streamed.count(), 1000);
  EXPECT_LT(off(g.mean, x.mean(0)), 1e-14);
  EXPECT_LT(off(g.covariance, at::cov(x.t())), 1e-9);
  streamed.add(x);  // goes on after it was read
  EXPECT_LT(off(streamed.gaussian().mean, x.mean(0)), 1e-14);
}

TEST(Moments, NeedTwoRowsOfOneWidth) {
  Moments moments;
  EXPECT_THROW(moments.gaussian(), Error);
  moments.add(draw(1, 3, 1));
  EXPECT_THROW(moments.gaussian(), Error);
  EXPECT_THROW(moments.add(draw(2, 4, 1)), InternalError);
  EXPECT_THROW(moments.add(draw(2, 4, 1)[0]), InternalError);
}

// Covariances that commute: the distance is the sum over axes of (difference of means)^2 + (difference of
// deviations)^2.
TEST(Frechet, KnownDistances) {
  const at::Tensor variances = at::tensor({4.0, 9.0, 0.0}), others = at::tensor({1.0, 25.0, 16.0});
  const Gaussian a{at::tensor({1.0, 2.0, 3.0}), variances.diag()}, b{at::tensor({1.0, 0.0, 3.0}), others.diag()};
  EXPECT_NEAR(frechet_distance(a, b), 4 + 1 + 4 + 16, 1e-9);
  EXPECT_NEAR(frechet_distance(b, a), 25, 1e-9);
}

TEST(Frechet, SingularCovariancesAreNoSpecialCase) {
  const Gaussian few = gaussian(draw(5, 40, 2)), fewer = gaussian(draw(3, 40, 3)), many = gaussian(draw(400, 40, 4));
  EXPECT_NEAR(frechet_distance(few, few), 0, 1e-5);
  EXPECT_GT(frechet_distance(few, fewer), 1);
  EXPECT_NEAR(frechet_distance(few, many), frechet_distance(many, few), 1e-6);
}

TEST(Frechet, RefusesWhatCannotBeCompared) {
  const Gaussian a = gaussian(draw(9, 3, 1)), b = gaussian(draw(9, 4, 1));
  EXPECT_THROW(frechet_distance(a, b), Error);
  Gaussian broken = a;
  broken.covariance = a.covariance * NAN;
  EXPECT_THROW(frechet_distance(a, broken), Error);
}

class StatisticsFiles : public ::testing::Test {
 protected:
  fs::path path(const std::string& name) const { return folder_ / name; }
  TemporaryFolder folder_;
};

TEST_F(StatisticsFiles, ComeBackAsTheyWere) {
  const StatisticsFile file{
      {{"pool", gaussian(draw(30, 6, 1))}, {"spatial", gaussian(draw(30, 3, 2))}, {"clip", gaussian(draw(30, 2, 3))}},
      {{"protocol", "adm"}, {"count", "30"}}};
  write_statistics(path("s.npz"), file);
  EXPECT_TRUE(holds_statistics(path("s.npz")));
  const StatisticsFile back = read_statistics(path("s.npz"));
  EXPECT_EQ(back.description, file.description);
  ASSERT_EQ(back.gaussians.size(), 3u);
  for (const auto& [feature, g] : file.gaussians) {
    EXPECT_TRUE(back.gaussians.at(feature).mean.equal(g.mean)) << feature;
    EXPECT_TRUE(back.gaussians.at(feature).covariance.equal(g.covariance)) << feature;
  }
}

// Covariances of few images are singular, and files may hold single precision.
TEST_F(StatisticsFiles, SingularCovariancesOfSinglePrecisionAreRead) {
  Gaussian g = gaussian(draw(5, 60, 7) * 3 + 100);
  g.covariance = g.covariance.to(at::kFloat).to(at::kDouble);
  write_statistics(path("few.npz"), {{{"pool", g}}, {}});
  EXPECT_EQ(read_statistics(path("few.npz")).gaussians.size(), 1u);
}

// Files of earlier versions hold text.
TEST_F(StatisticsFiles, NumbersOfTheDescriptionAreNumbers) {
  const Gaussian g = gaussian(draw(30, 3, 1));
  write_statistics(path("s.npz"), {{{"pool", g}}, {{"images", "30"}, {"protocol", "adm"}}});
  const io::ZipFile zip(path("s.npz"));
  const std::string text = zip.read(zip.entries()[static_cast<size_t>(zip.find("gigacat.json"))]);
  EXPECT_THAT(text, HasSubstr("\"images\": 30"));
  EXPECT_EQ(read_statistics(path("s.npz")).description.at("images"), "30");
  {
    FileWriter out(path("old.npz"));
    io::ZipWriter old(out);
    for (const auto& entry : zip.entries())
      old.add(entry.name, entry.name == "gigacat.json" ? "{\"images\": \"30\"}" : zip.read(entry));
    old.finish();
    out.flush();
  }
  EXPECT_EQ(read_statistics(path("old.npz")).description.at("images"), "30");
}

// Writes an .npz of the given members.
void write_npz(const fs::path& path,
               const std::map<std::string, std::pair<std::vector<int64_t>, std::vector<double>>>& arrays) {
  FileWriter out(path);
  io::ZipWriter zip(out);
  for (const auto& [name, array] : arrays) {
    std::string bytes = io::npy_header("<f8", array.first);
    bytes.append(reinterpret_cast<const char*>(array.second.data()), 8 * array.second.size());
    zip.add(name + ".npy", bytes);
  }
  zip.finish();
  out.flush();
}

std::string fault_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(StatisticsFiles, OfOthersAreRead) {
  write_npz(path("foreign.npz"), {{"mu", {{2}, {1, 2}}}, {"sigma", {{2, 2}, {1, 0, 0, 1}}}});
  const StatisticsFile file = read_statistics(path("foreign.npz"));
  EXPECT_TRUE(file.description.empty());
  EXPECT_EQ(file.gaussians.at("pool").mean[1].item<double>(), 2);
}

TEST_F(StatisticsFiles, BrokenOnesAreRefused) {
  write_npz(path("none.npz"), {{"arr_0", {{1}, {1}}}});
  EXPECT_FALSE(holds_statistics(path("none.npz")));
  EXPECT_THAT(fault_of([&] { read_statistics(path("none.npz")); }), HasSubstr("no mu and sigma"));
  write_npz(path("half.npz"), {{"mu", {{2}, {1, 2}}}});
  EXPECT_THAT(fault_of([&] { read_statistics(path("half.npz")); }), HasSubstr("no sigma"));
  write_npz(path("shape.npz"), {{"mu", {{2}, {1, 2}}}, {"sigma", {{1, 4}, {1, 0, 0, 1}}}});
  EXPECT_THAT(fault_of([&] { read_statistics(path("shape.npz")); }), HasSubstr("wanted [D] and [D, D]"));
  write_npz(path("nan.npz"), {{"mu", {{2}, {1, NAN}}}, {"sigma", {{2, 2}, {1, 0, 0, 1}}}});
  EXPECT_THAT(fault_of([&] { read_statistics(path("nan.npz")); }), HasSubstr("not finite"));
  write_npz(path("odd.npz"), {{"mu", {{2}, {1, 2}}}, {"sigma", {{2, 2}, {1, 0.5, 0, 1}}}});
  EXPECT_THAT(fault_of([&] { read_statistics(path("odd.npz")); }), HasSubstr("odd.npz: sigma is not symmetric"));
  write_npz(path("negative.npz"), {{"mu", {{2}, {1, 2}}}, {"sigma", {{2, 2}, {1, 2, 2, 1}}}});
  EXPECT_THAT(fault_of([&] { read_statistics(path("negative.npz")); }),
              HasSubstr("negative.npz: sigma has negative eigenvalues"));
  write_npz(path("minus.npz"), {{"mu", {{2}, {1, 2}}}, {"sigma", {{2, 2}, {-1, 0, 0, -1}}}});
  EXPECT_THAT(fault_of([&] { read_statistics(path("minus.npz")); }), HasSubstr("negative eigenvalues"));
  write_npz(path("equal.npz"), {{"mu", {{2}, {1, 2}}}, {"sigma", {{2, 2}, {0, 0, 0, 0}}}});
  EXPECT_EQ(fault_of([&] { read_statistics(path("equal.npz")); }), "no error") << "of equal images";
  write_atomically(path("text.npz"), "no zip");
  EXPECT_THROW(read_statistics(path("text.npz")), Error);
  EXPECT_THROW(read_statistics(path("missing.npz")), Error);
}

}  // namespace
}  // namespace gigacat::eval
