#include "gigacat/core/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "core/random_math.h"
#include "gigacat/core/error.h"

namespace gigacat {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

std::vector<float> normals(const Stream& stream, uint64_t step, uint64_t sample, size_t count) {
  std::vector<float> values(count);
  stream.normal(step, sample, values);
  return values;
}

std::vector<float> uniforms(const Stream& stream, uint64_t step, uint64_t sample, size_t count) {
  std::vector<float> values(count);
  stream.uniform(step, sample, values);
  return values;
}

double mean_power(const std::vector<float>& values, int power) {
  double sum = 0;
  for (const float value : values) sum += std::pow(double(value), power);
  return sum / double(values.size());
}

// Largest distance between the empirical and the wanted distribution function.
template <class Cdf>
double kolmogorov_smirnov(std::vector<float> values, Cdf cdf) {
  std::ranges::sort(values);
  double worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double wanted = cdf(values[i]), n = double(values.size());
    worst = std::max({worst, std::abs(double(i) / n - wanted), std::abs(double(i + 1) / n - wanted)});
  }
  return worst;
}

TEST(Fnv, KnownAnswers) {
  EXPECT_EQ(fnv1a64(""), 0xCBF29CE484222325u);
  EXPECT_EQ(fnv1a64("a"), 0xAF63DC4C8601EC8Cu);
  EXPECT_EQ(fnv1a64("foobar"), 0x85944171F73967E8u);
}

// The vectors of the Random123 distribution for philox4x32 with 10 rounds.
TEST(Philox, KnownAnswers) {
  EXPECT_THAT(philox({0, 0, 0, 0}, 0), ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff),
              ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
              ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(RandomMath, LogarithmIsAccurate) {
  for (uint64_t word = 0; word < (uint64_t{1} << 32); word += word < 4096 ? 1 : word / 1013) {
    const double wanted = std::log((double(word) + 0.5) * 0x1p-32);
    const double got = log_of_word(static_cast<uint32_t>(word));
    // A float cannot hold the words next to 2^32: there the error is that of its rounding.
    ASSERT_NEAR(got, wanted, 3e-7 * std::abs(wanted) + 6.1e-8) << word;
  }
  EXPECT_LE(log_of_word(0xFFFFFFFF), 0);
  EXPECT_NEAR(log_of_word(0), -22.8738, 1e-3);
}

TEST(RandomMath, SineAndCosineAreAccurate) {
  for (uint64_t word = 0; word < (uint64_t{1} << 32); word += 77'777) {
    const double angle = double(word) * 0x1p-32 * 2 * M_PI;
    const auto [sine, cosine] = sine_cosine_of_word(static_cast<uint32_t>(word));
    ASSERT_NEAR(sine, std::sin(angle), 1.5e-7) << word;
    ASSERT_NEAR(cosine, std::cos(angle), 1.5e-7) << word;
  }
}

// A change of any of these changes every run: such a commit says why.
TEST(Stream, Fingerprint) {
  const Stream stream(1234, "z");
  EXPECT_EQ(stream.key(), 3784742501261878318u);
  EXPECT_EQ(stream.bits(5, 6), 6557285600416726865u);
  EXPECT_THAT(uniforms(stream, 5, 6, 5),
              ElementsAre(0x1.09b9dep-1f, 0x1.ab3432p-1f, 0x1.1df196p-1f, 0x1.267274p-1f, 0x1.e3347ep-1f));
  EXPECT_THAT(normals(stream, 5, 6, 5),
              ElementsAre(-0x1.88da72p-2f, -0x1.217e2ep-3f, -0x1.f742dp+0f, 0x1.957bep-3f, 0x1.5d39e6p-1f));
  std::vector<int64_t> whole(5);
  stream.integers(5, 6, -10, 10, whole);
  EXPECT_THAT(whole, ElementsAre(-5, -6, -7, 7, -10));
  const Permutation permutation(1234, "data.order", 2, 10);
  std::vector<uint64_t> order(10);
  for (uint64_t i = 0; i < 10; ++i) order[i] = permutation(i);
  EXPECT_THAT(order, ElementsAre(2, 1, 6, 5, 8, 7, 3, 9, 0, 4));
}

TEST(Stream, FirstValuesDoNotDependOnTheLength) {
  const Stream stream(7, "z");
  const std::vector<float> all = normals(stream, 3, 9, 1000), flat = uniforms(stream, 3, 9, 1000);
  for (const size_t count : {0, 1, 2, 3, 5, 63, 64, 255, 256, 257, 999}) {
    EXPECT_THAT(normals(stream, 3, 9, count), ElementsAreArray(all.begin(), all.begin() + count));
    EXPECT_THAT(uniforms(stream, 3, 9, count), ElementsAreArray(flat.begin(), flat.begin() + count));
  }
}

TEST(Stream, EveryCoordinateMatters) {
  std::set<uint64_t> seen;
  int draws = 0;
  const auto add = [&](const Stream& stream, uint64_t step, uint64_t sample) {
    seen.insert(stream.bits(step, sample));
    ++draws;
  };
  for (uint64_t i = 0; i < 50; ++i) {
    for (uint64_t j = 0; j < 50; ++j) {
      add(Stream(i, "purpose"), j, 0);
      add(Stream(100, "purpose"), i, j + 1);
      add(Stream(100, "other"), i << 32, j << 32);
      add(Stream(i, cat("p", j)), 1, 1);
    }
  }
  EXPECT_EQ(seen.size(), size_t(draws));
}

TEST(Stream, HighHalvesOfStepAndSampleMatter) {
  const Stream stream(1, "z");
  EXPECT_NE(stream.bits(1, 0), stream.bits(uint64_t{1} << 32 | 1, 0));
  EXPECT_NE(stream.bits(0, 1), stream.bits(0, uint64_t{1} << 32 | 1));
  EXPECT_NE(stream.bits(0, 1), stream.bits(1, 0));
}

TEST(Stream, UniformIsUniform) {
  const std::vector<float> values = uniforms(Stream(42, "u"), 0, 0, 1'000'000);
  EXPECT_GE(*std::ranges::min_element(values), 0.0f);
  EXPECT_LT(*std::ranges::max_element(values), 1.0f);
  for (const float value : values) ASSERT_EQ(value * 0x1p24f, std::trunc(value * 0x1p24f));
  // 1.95 / sqrt(n) is passed by one sample in a thousand; this one is fixed.
  EXPECT_LT(kolmogorov_smirnov(values, [](double x) { return x; }), 1.95e-3);
}

TEST(Stream, NormalIsNormal) {
  const std::vector<float> values = normals(Stream(42, "n"), 0, 0, 1'000'000);
  EXPECT_NEAR(mean_power(values, 1), 0, 0.004);
  EXPECT_NEAR(mean_power(values, 2), 1, 0.006);
  EXPECT_NEAR(mean_power(values, 3), 0, 0.016);
  EXPECT_NEAR(mean_power(values, 4), 3, 0.04);
  EXPECT_LT(kolmogorov_smirnov(values, [](double x) { return 0.5 * std::erfc(-x / M_SQRT2); }), 1.95e-3);
}

TEST(Stream, NeighboursAreNotCorrelated) {
  const Stream stream(3, "n");
  constexpr int n = 100'000;
  const std::vector<float> all = normals(stream, 0, 0, n + 1);
  double within = 0, steps = 0, samples = 0;
  for (int i = 0; i < n; ++i) {
    within += all[i] * all[i + 1];
    steps += normals(stream, i, 0, 1)[0] * normals(stream, i + 1, 0, 1)[0];
    samples += normals(stream, 0, i, 1)[0] * normals(stream, 0, i + 1, 1)[0];
  }
  const double four_sigma = 4 / std::sqrt(double(n));
  EXPECT_LT(std::abs(within / n), four_sigma);
  EXPECT_LT(std::abs(steps / n), four_sigma);
  EXPECT_LT(std::abs(samples / n), four_sigma);
}

TEST(Stream, IntegersCoverTheirRangeEvenly) {
  std::vector<int64_t> values(70'000), counts(7);
  Stream(9, "i").integers(0, 0, -3, 3, values);
  for (const int64_t value : values) {
    ASSERT_GE(value, -3);
    ASSERT_LE(value, 3);
    ++counts[value + 3];
  }
  for (const int64_t count : counts) EXPECT_NEAR(count, 10'000, 4 * 93);
}

TEST(Stream, IntegersAtTheEndsOfTheirType) {
  constexpr int64_t low = std::numeric_limits<int64_t>::min(), high = std::numeric_limits<int64_t>::max();
  const Stream stream(9, "i");
  std::vector<int64_t> values(1000);
  stream.integers(0, 0, low, high, values);
  EXPECT_EQ(std::set<int64_t>(values.begin(), values.end()).size(), values.size());
  EXPECT_NEAR(std::ranges::count_if(values, [](int64_t v) { return v < 0; }), 500, 64);
  stream.integers(0, 0, high, high, values);
  EXPECT_EQ(std::ranges::count(values, high), 1000);
  stream.integers(0, 0, high - 1, high, values);
  EXPECT_NEAR(std::ranges::count(values, high), 500, 64);
  EXPECT_THROW(stream.integers(0, 0, 1, 0, values), InternalError);
}

TEST(Permutation, IsABijection) {
  for (const uint64_t count : {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 4096, 4097, 10'000}) {
    const Permutation permutation(1, "data.order", 3, count);
    std::vector<bool> seen(count);
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t place = permutation(i);
      ASSERT_LT(place, count);
      ASSERT_FALSE(seen[place]) << "count " << count;
      seen[place] = true;
    }
  }
}

TEST(Permutation, DiffersByEpochSeedAndPurpose) {
  const auto order = [](uint64_t seed, std::string_view purpose, uint64_t epoch) {
    const Permutation permutation(seed, purpose, epoch, 100);
    std::vector<uint64_t> values(100);
    for (uint64_t i = 0; i < 100; ++i) values[i] = permutation(i);
    return values;
  };
  EXPECT_EQ(order(1, "a", 0), order(1, "a", 0));
  EXPECT_NE(order(1, "a", 0), order(1, "a", 1));
  EXPECT_NE(order(1, "a", 0), order(2, "a", 0));
  EXPECT_NE(order(1, "a", 0), order(1, "b", 0));
}

// Each value is in each place equally often, over many epochs; 4 is also the smallest network.
TEST(Permutation, PlacesAreEven) {
  constexpr int epochs = 20'000;
  for (const uint64_t count : {3, 4, 10}) {
    std::vector<int> at_first(count);
    for (int epoch = 0; epoch < epochs; ++epoch) ++at_first[Permutation(5, "p", epoch, count)(0)];
    const double wanted = double(epochs) / double(count);
    for (const int seen : at_first) EXPECT_NEAR(seen, wanted, 5 * std::sqrt(wanted));
  }
}

TEST(Permutation, LargeCountsAndBadPositions) {
  constexpr uint64_t most = std::numeric_limits<uint64_t>::max();
  const Permutation large(1, "p", 0, most);
  EXPECT_LT(large(most - 1), most);
  EXPECT_NE(large(0), large(1));
  EXPECT_THROW(large(most), InternalError);
  EXPECT_THROW(Permutation(1, "p", 0, 10)(10), InternalError);
  EXPECT_THROW(Permutation(1, "p", 0, 0)(0), InternalError);
}

}  // namespace
}  // namespace gigacat
