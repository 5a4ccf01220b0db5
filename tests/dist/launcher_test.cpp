#include "gigacat/dist/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "dist/program.h"
#include "gigacat/core/error.h"

namespace gigacat::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(Launcher, PrefixesLinesAndReturnsZero) {
  const Result result = run_ranks(2, {"lines"});
  EXPECT_EQ(result.code, 0) << result.text;
  for (const char* line :
       {"[0] one\n", "[1] one\n", "[0] two without end\n", "[1] two without end\n", "[1] to error\n"})
    EXPECT_THAT(result.text, HasSubstr(line));
}

TEST(Launcher, SetsTorchrunsVariables) {
  const Result result = run_ranks(3, {"variables"});
  for (const char* line : {"[2] RANK=2\n", "[1] LOCAL_RANK=1\n", "[0] WORLD_SIZE=3\n", "[0] LOCAL_WORLD_SIZE=3\n",
                           "[2] MASTER_ADDR=127.0.0.1\n"})
    EXPECT_THAT(result.text, HasSubstr(line));
}

TEST(Launcher, SharesTheCoresUnlessTold) {
  cpu_set_t cores;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(cores), &cores), 0);
  const std::string share = std::to_string(std::max(1, CPU_COUNT(&cores) / 2));
  Program shared(worker({"launch", "2", "variables"}), {{"OMP_NUM_THREADS", ""}});
  EXPECT_THAT(shared.finish().text, HasSubstr("[1] OMP_NUM_THREADS=" + share + "\n"));
  Program told(worker({"launch", "2", "variables"}), {{"OMP_NUM_THREADS", "3"}});
  EXPECT_THAT(told.finish().text, HasSubstr("[1] OMP_NUM_THREADS=3\n"));
}

TEST(Launcher, EndsTheOthersWhenOneFails) {
  const Result result = run_ranks(3, {"stubborn"});
  EXPECT_EQ(result.code, 7);
  EXPECT_LT(result.seconds, 8);
  EXPECT_THAT(result.text, HasSubstr("rank 1 failed (exit code 7): error: out of luck\n"));
}

TEST(Launcher, ReportsTheSignalThatKilled) {
  const Result result = run_ranks(2, {"die"});
  EXPECT_EQ(result.code, 128 + SIGKILL);
  EXPECT_THAT(result.text, HasSubstr("rank 1 failed (killed by signal 9)"));
  EXPECT_LT(result.seconds, 10);
}

class Forwards : public testing::TestWithParam<int> {};

TEST_P(Forwards, SignalOnceToEachAndLetsThemFinish) {
  Program launcher(worker({"launch", "2", "signal"}));
  ASSERT_TRUE(launcher.wait_for("[0] waiting", 20) && launcher.wait_for("[1] waiting", 20));
  launcher.signal(GetParam());
  const Result result = launcher.finish();
  const std::string got = "got " + std::to_string(GetParam());
  EXPECT_EQ(result.code, 128 + GetParam());
  EXPECT_THAT(result.text, AllOf(HasSubstr("[0] " + got + "\n"), HasSubstr("[1] " + got + " and is done\n")));
  EXPECT_THAT(result.text, Not(HasSubstr("failed")));
}

INSTANTIATE_TEST_SUITE_P(Launcher, Forwards, testing::Values(SIGINT, SIGTERM, SIGUSR1));

TEST(Launcher, ChildrenEndWithALauncherThatIsKilled) {
  Program launcher(worker({"launch", "2", "signal"}));
  ASSERT_TRUE(launcher.wait_for("[0] waiting ", 20) && launcher.wait_for("[1] waiting ", 20));
  launcher.signal(SIGKILL);
  const std::string text = launcher.finish().text;
  for (const char* mark : {"[0] waiting ", "[1] waiting "}) {
    const pid_t child = std::atoi(text.c_str() + text.find(mark) + std::string(mark).size());
    ASSERT_GT(child, 1);
    bool gone = false;
    for (int i = 0; i < 500 && !gone; ++i) {
      gone = ::kill(child, 0) != 0;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_TRUE(gone) << mark << child;
  }
}

TEST(Launcher, RefusesImpossibleNumbers) {
  EXPECT_THROW(dist::launch_local({}, {.ranks = 0}), UsageError);
  EXPECT_THROW(dist::launch_local({}, {.ranks = 100000}), UsageError);
}

}  // namespace
}  // namespace gigacat::test
