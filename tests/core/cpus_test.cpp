// What containers are given: limits that OpenMP's own count does not see (ollama/ollama#17916,
// llvm/llvm-project#225493).
#include "gigacat/core/cpus.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace gigacat {
namespace {

namespace fs = std::filesystem;

class Cpus : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  double quota() const { return cpu_quota(root_ / "proc", root_ / "cgroup"); }

 private:
  fs::path root_ =
      fs::temp_directory_path() / ("cpus_test_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
                                   ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(Cpus, Version2) {
  write("proc/self/cgroup", "0::/\n");
  EXPECT_EQ(quota(), 0);
  write("cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), 0);
  write("cgroup/cpu.max", "150000 100000\n");
  EXPECT_EQ(quota(), 1.5);
}

TEST_F(Cpus, TheSmallestOfAllGroupsAbove) {
  write("proc/self/cgroup", "0::/user.slice/job/step\n");
  write("cgroup/user.slice/cpu.max", "800000 100000\n");
  write("cgroup/user.slice/job/cpu.max", "400000 100000\n");
  write("cgroup/user.slice/job/step/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), 4);
}

TEST_F(Cpus, Version1AndPathsOfOutsideTheContainer) {
  write("proc/self/cgroup", "7:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n");
  write("cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 0);
  write("cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n");
  EXPECT_EQ(quota(), 2);
}

TEST_F(Cpus, NothingToRead) {
  EXPECT_EQ(quota(), 0);
  write("proc/self/cgroup", "nonsense\n::\n0:");
  write("cgroup/cpu.max", "");
  EXPECT_EQ(quota(), 0);
  EXPECT_GE(usable_cpus(), 1);
}

}  // namespace
}  // namespace gigacat
