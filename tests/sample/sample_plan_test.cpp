#include "sample/sample_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gigacat/core/error.h"

namespace gigacat::sample {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Conditions kThree{.count = 3};
const Conditions kAnimals{.count = 5, .names = {"cat", "sea horse", "tench, Tinca tinca", "7", "0"}};

std::string error_of(const SampleRequest& request, const Conditions& of) {
  try {
    plan_samples(request, of);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(SamplePlan, CountTakesLatentsOfOneSeedAndCyclesAllClasses) {
  const auto specs = plan_samples({.count = 5, .seed = 7}, kThree);
  ASSERT_EQ(specs.size(), 5u);
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(specs[i].seed, 7);
    EXPECT_EQ(specs[i].index, i);
    EXPECT_EQ(specs[i].label, i % 3);
  }
}

// A seed is an image: its class does not depend on the list that it stands in.
TEST(SamplePlan, SeedsTakeTheFirstLatentOfEachAndItsClass) {
  const auto specs = plan_samples({.labels = "2,0", .seeds = "9,1-3"}, kThree);
  ASSERT_EQ(specs.size(), 4u);
  const int64_t seeds[] = {9, 1, 2, 3}, labels[] = {0, 0, 2, 0};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(specs[i].seed, seeds[i]);
    EXPECT_EQ(specs[i].index, 0);
    EXPECT_EQ(specs[i].label, labels[i]);
  }
}

TEST(SamplePlan, RefusesWhatIsOutOfRange) {
  EXPECT_THAT(error_of({.labels = "0,3"}, kThree), HasSubstr("class 3 is not there: the model has 3 classes"));
  EXPECT_THAT(error_of({.labels = "one"}, kThree), HasSubstr("--labels"));
  EXPECT_THAT(error_of({.labels = "0"}, {}), HasSubstr("no classes"));
  EXPECT_EQ(error_of({}, {}), "");
  EXPECT_THAT(error_of({.labels = ""}, kThree), HasSubstr("--labels"));
  EXPECT_THAT(error_of({.seeds = "1,x"}, kThree), HasSubstr("--seeds"));
  EXPECT_THAT(error_of({.count = 0}, kThree), HasSubstr("--count"));
  EXPECT_THAT(error_of({.seed = -1}, kThree), HasSubstr("--seed"));
  EXPECT_THAT(error_of({.batch = 0}, kThree), HasSubstr("--batch"));
  EXPECT_THAT(error_of({.truncation = -0.1}, kThree), HasSubstr("--truncation"));
  EXPECT_THAT(error_of({.truncation = std::nan("")}, kThree), HasSubstr("--truncation"));
  EXPECT_THAT(error_of({.guidance = -2}, kThree), HasSubstr("--guidance"));
}

std::vector<int64_t> classes(const std::string& text) { return parse_classes(text, "--class", kAnimals); }

TEST(ClassList, TakesNumbersAndNamesInTheirOrder) {
  EXPECT_THAT(classes("3,0-1"), ElementsAre(3, 0, 1));
  EXPECT_THAT(classes("sea horse,cat"), ElementsAre(1, 0));
  EXPECT_THAT(classes(" cat , 2-3,sea horse"), ElementsAre(0, 2, 3, 1));
  EXPECT_THAT(classes("cat,tench, Tinca tinca,4"), ElementsAre(0, 2, 4)) << "a name with a comma";
  EXPECT_THAT(classes("7"), ElementsAre(3)) << "no number of a class, but a name";
  EXPECT_THAT(classes("0"), ElementsAre(0)) << "a number of a class, whatever is called so";
}

TEST(ClassList, SaysWhatIsNotThere) {
  EXPECT_THAT(error_of({.labels = "sea hrose"}, kAnimals), HasSubstr("\"sea hrose\"; did you mean sea horse?"));
  EXPECT_THAT(error_of({.labels = "cat,elephant"}, kAnimals), HasSubstr("\"elephant\"; there are cat, sea horse, "));
  EXPECT_THAT(error_of({.labels = "9"}, kAnimals), HasSubstr("class 9 is not there: the model has 5 classes, 0..4"));
  EXPECT_THAT(error_of({.labels = "cat"}, kThree), HasSubstr("write numbers in 0..2"));
  EXPECT_THAT(error_of({.labels = "3-1"}, kThree), HasSubstr("backwards"));
  EXPECT_THAT(error_of({.labels = "2"}, {.count = 4, .is_text = true}), HasSubstr("model of text"));
  EXPECT_EQ(error_of({}, {.count = 4, .is_text = true}), "");
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
