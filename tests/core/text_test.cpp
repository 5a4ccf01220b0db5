#include "gigacat/core/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "gigacat/core/error.h"

namespace gigacat {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string usage_error(const std::function<void()>& run) {
  try {
    run();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no UsageError";
}

TEST(Text, CatAndJoin) {
  EXPECT_EQ(cat("a", 1, ' ', 2.5), "a1 2.5");
  EXPECT_EQ(cat(), "");
  EXPECT_EQ(join(std::vector<int>{1, 2, 3}), "1, 2, 3");
  EXPECT_EQ(join(std::vector<std::string>{"a", "b"}, "/"), "a/b");
  EXPECT_EQ(join(std::vector<int>{}), "");
}

TEST(Text, SplitKeepsEmptyPieces) {
  EXPECT_THAT(split("a,b,c", ','), ElementsAre("a", "b", "c"));
  EXPECT_THAT(split(",a,,", ','), ElementsAre("", "a", "", ""));
  EXPECT_THAT(split("abc", ','), ElementsAre("abc"));
  EXPECT_THAT(split("", ','), IsEmpty());
}

TEST(Text, Trim) {
  EXPECT_EQ(trim("  a b\t\r\n"), "a b");
  EXPECT_EQ(trim(" \n "), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Text, NearestFindsTypingMistakes) {
  const std::vector<std::string> keys = {"depth", "hidden", "heads", "learning_rate"};
  EXPECT_EQ(nearest("dpeth", keys), "depth");
  EXPECT_EQ(nearest("hiden", keys), "hidden");
  EXPECT_EQ(nearest("heads", keys), "heads");
  EXPECT_EQ(nearest("learnign_raet", keys), "learning_rate");
  EXPECT_EQ(nearest("patch_size", keys), "");
  EXPECT_EQ(nearest("", keys), "");
  EXPECT_EQ(nearest("x", keys), "");
  EXPECT_EQ(nearest("depth", {}), "");
}

TEST(Text, NearestCountsASwapOnce) { EXPECT_EQ(nearest("ab", {"ba", "xyz"}), "ba"); }

TEST(Text, NearestIsQuickOnLongWords) { EXPECT_EQ(nearest(std::string(1'000'000, 'a'), {"a"}), ""); }

TEST(Text, HumanHasThreeDigits) {
  EXPECT_EQ(human(0), "0");
  EXPECT_EQ(human(7), "7");
  EXPECT_EQ(human(999), "999");
  EXPECT_EQ(human(1000), "1.00 k");
  EXPECT_EQ(human(1234567), "1.23 M");
  EXPECT_EQ(human(12345678), "12.3 M");
  EXPECT_EQ(human(123456789), "123 M");
  EXPECT_EQ(human(999'999), "1.00 M");
  EXPECT_EQ(human(-2.5e9), "-2.50 G");
  EXPECT_EQ(human(3e18), "3000 P");
  EXPECT_EQ(human(0.0123), "0.0123");
  EXPECT_EQ(human(std::numeric_limits<double>::infinity()), "inf");
}

TEST(Text, HumanBytes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.50 KiB");
  EXPECT_EQ(human_bytes(1048575), "1.00 MiB");
  EXPECT_EQ(human_bytes(5.0 * (1 << 30)), "5.00 GiB");
}

TEST(Text, HumanTime) {
  EXPECT_EQ(human_time(3.21), "3.2 s");
  EXPECT_EQ(human_time(59.94), "59.9 s");
  EXPECT_EQ(human_time(59.96), "1m 00s");
  EXPECT_EQ(human_time(123), "2m 03s");
  EXPECT_EQ(human_time(3723), "1h 02m 03s");
  EXPECT_EQ(human_time(360'000), "100h 00m 00s");
  EXPECT_EQ(human_time(std::numeric_limits<double>::infinity()), "unknown");
  EXPECT_EQ(human_time(std::numeric_limits<double>::quiet_NaN()), "unknown");
}

TEST(Text, ParseInt) {
  EXPECT_EQ(parse_int("42", "n"), 42);
  EXPECT_EQ(parse_int("-9223372036854775808", "n"), std::numeric_limits<int64_t>::min());
  for (const char* wrong : {"", " 1", "1 ", "1.0", "0x10", "--1", "one", "1e3"}) {
    EXPECT_THAT(usage_error([&] { parse_int(wrong, "WORLD_SIZE"); }), HasSubstr("WORLD_SIZE")) << wrong;
  }
  EXPECT_THAT(usage_error([] { parse_int("9223372036854775808", "n"); }), HasSubstr("64 bits"));
}

TEST(Text, ParseRanges) {
  EXPECT_THAT(parse_ranges("0,1,4-6", "--seeds"), ElementsAre(0, 1, 4, 5, 6));
  EXPECT_THAT(parse_ranges("7", "--seeds"), ElementsAre(7));
  EXPECT_THAT(parse_ranges(" 1 , 3 - 4 ", "--seeds"), ElementsAre(1, 3, 4));
  EXPECT_THAT(parse_ranges("5-5,5", "--seeds"), ElementsAre(5, 5));
}

TEST(Text, ParseRangesRefusesTheRest) {
  for (const char* wrong :
       {"", ",", "1,", "a", "1-", "-", "-1", "1--2", "1-2-3", "1.5", "4-2", "99999999999999999999"}) {
    EXPECT_THAT(usage_error([&] { parse_ranges(wrong, "--seeds"); }), HasSubstr("--seeds")) << wrong;
  }
}

TEST(Text, ParseRangesLimitsTheirNumber) {
  EXPECT_EQ(parse_ranges("0-9", "n", 10).size(), 10);
  EXPECT_THAT(usage_error([] { parse_ranges("0-10", "n", 10); }), HasSubstr("more than 10"));
  EXPECT_THAT(usage_error([] { parse_ranges("0-9,10", "n", 10); }), HasSubstr("more than 10"));
  EXPECT_THAT(usage_error([] { parse_ranges("0-9223372036854775807", "n"); }), HasSubstr("more than"));
}

TEST(Error, FailJoinsItsArguments) {
  EXPECT_THAT(usage_error([] { fail<UsageError>("a ", 1, " b"); }), "a 1 b");
  EXPECT_THROW(fail("x"), Error);
}

TEST(Error, CheckNamesConditionAndValues) {
  const int heads = 5;
  try {
    GIGACAT_CHECK(heads % 2 == 0, "heads ", heads);
    FAIL() << "passed";
  } catch (const InternalError& error) {
    EXPECT_THAT(error.what(), HasSubstr("heads % 2 == 0"));
    EXPECT_THAT(error.what(), HasSubstr("text_test.cpp"));
    EXPECT_THAT(error.what(), HasSubstr("heads 5"));
  }
}

}  // namespace
}  // namespace gigacat
