#include "sample/sample_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gigacat/core/error.h"

namespace gigacat::sample {
namespace {

using testing::HasSubstr;

std::string error_of(const SampleRequest& request, int64_t classes) {
  try {
    plan_samples(request, classes);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(SamplePlan, CountTakesLatentsOfOneSeedAndCyclesAllClasses) {
  const auto specs = plan_samples({.count = 5, .seed = 7}, 3);
  ASSERT_EQ(specs.size(), 5u);
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(specs[i].seed, 7);
    EXPECT_EQ(specs[i].index, i);
    EXPECT_EQ(specs[i].label, i % 3);
  }
}

// A seed is an image: its class does not depend on the list that it stands in.
TEST(SamplePlan, SeedsTakeTheFirstLatentOfEachAndItsClass) {
  const auto specs = plan_samples({.labels = "2,0", .seeds = "9,1-3"}, 3);
  ASSERT_EQ(specs.size(), 4u);
  const int64_t seeds[] = {9, 1, 2, 3}, labels[] = {0, 0, 2, 0};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(specs[i].seed, seeds[i]);
    EXPECT_EQ(specs[i].index, 0);
    EXPECT_EQ(specs[i].label, labels[i]);
  }
}

TEST(SamplePlan, RefusesWhatIsOutOfRange) {
  EXPECT_THAT(error_of({.labels = "0,3"}, 3), HasSubstr("class 3 is not there: the model has 3 classes"));
  EXPECT_THAT(error_of({.labels = "one"}, 3), HasSubstr("--labels"));
  EXPECT_THAT(error_of({.labels = "0"}, 1), HasSubstr("no classes"));
  EXPECT_EQ(error_of({}, 1), "");
  EXPECT_THAT(error_of({.labels = ""}, 3), HasSubstr("--labels"));
  EXPECT_THAT(error_of({.seeds = "1,x"}, 3), HasSubstr("--seeds"));
  EXPECT_THAT(error_of({.count = 0}, 3), HasSubstr("--count"));
  EXPECT_THAT(error_of({.seed = -1}, 3), HasSubstr("--seed"));
  EXPECT_THAT(error_of({.batch = 0}, 3), HasSubstr("--batch"));
  EXPECT_THAT(error_of({.truncation = -0.1}, 3), HasSubstr("--truncation"));
  EXPECT_THAT(error_of({.truncation = std::nan("")}, 3), HasSubstr("--truncation"));
  EXPECT_THAT(error_of({.guidance = -2}, 3), HasSubstr("--guidance"));
}

TEST(SamplePlan, SharesCoverAllPlacesOnceInWholePieces) {
  for (int64_t count : {1, 7, 8, 9, 64, 65})
    for (int world : {1, 2, 3, 5}) {
      int64_t next = 0;
      for (int rank = 0; rank < world; ++rank) {
        const Share share = share_of(count, 8, rank, world);
        EXPECT_EQ(share.first, next);
        EXPECT_TRUE(share.first % 8 == 0 || share.first == count);
        next = share.last;
      }
      EXPECT_EQ(next, count);
    }
}

}  // namespace
}  // namespace gigacat::sample
