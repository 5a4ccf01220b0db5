#include "gigacat/run/run_folder.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "train/fixtures.h"

namespace gigacat::run {
namespace {

using data::error_of;
using data::TempFolder;
using train::flip_bit;
using train::toy_yaml;
using train::ToyTest;

using testing::ElementsAre;
using testing::HasSubstr;

TEST(RunFolder, NumbersGoUpAndNothingIsTakenTwice) {
  const TempFolder temp;
  const fs::path out = temp.path("runs");
  EXPECT_EQ(RunFolder::create(out, "toy").path().filename(), "00000-toy");
  EXPECT_EQ(RunFolder::create(out, "toy").path().filename(), "00001-toy");
  fs::create_directories(out / "00041-of-another");
  fs::create_directories(out / "not-a-run");
  EXPECT_EQ(RunFolder::create(out, "a/b c").path().filename(), "00042-a-b-c");
  EXPECT_EQ(RunFolder::create(out, "").path().filename(), "00043-run");
}

TEST(RunFolder, OutThatIsAFileIsAnError) {
  const TempFolder temp;
  const std::string file = temp.write("runs", "x");
  EXPECT_THAT(error_of<Error>([&] { RunFolder::create(file, "toy"); }), HasSubstr(file));
}

TEST(RunFolder, OpensRunsAloneAndNamesThoseBeside) {
  const TempFolder temp;
  temp.write("runs/00000-toy/config.yaml", "recipe: toy\n");
  temp.write("runs/00001-toy/config.yaml", "recipe: toy\n");
  EXPECT_EQ(RunFolder::open(temp.path("runs/00000-toy")).config(), temp.path("runs/00000-toy/config.yaml"));
  for (const char* wrong : {"runs", "runs/00002-toy"})
    EXPECT_THAT(error_of<UsageError>([&] { RunFolder::open(temp.path(wrong)); }), HasSubstr("runs/00001-toy"));
  EXPECT_THAT(list_runs(temp.path("runs")), ElementsAre(temp.path("runs/00001-toy"), temp.path("runs/00000-toy")));
}

TEST(RunFolder, TrimsMetricsToOneRun) {
  const TempFolder temp;
  const RunFolder folder = RunFolder::create(temp.path("runs"), "toy");
  folder.trim_metrics(0);  // no file yet
  std::ofstream(folder.metrics()) << "{\"step\":5}\n{\"step\":10}\nrubbish\n{\"step\":15}\n{\"step\":2";
  folder.trim_metrics(10);
  EXPECT_EQ(read_file(folder.metrics()), "{\"step\":5}\n{\"step\":10}\n");
}

TEST(RunLock, ASecondHolderIsRefused) {
  const TempFolder temp;
  const RunFolder folder = RunFolder::create(temp.path("runs"), "toy");
  {
    const RunLock lock(folder);
    const std::string error = error_of<UsageError>([&] { const RunLock second(folder); });
    EXPECT_THAT(error, HasSubstr("is in use by process"));
  }
  const RunLock again(folder);
}

TEST(RunFolder, InfoIsJson) {
  const TempFolder temp;
  const RunFolder folder = RunFolder::create(temp.path("runs"), "toy");
  folder.write_info({{"version", "1"}});
  EXPECT_EQ(nlohmann::json::parse(read_file(folder.path() / "run.json"))["version"], "1");
}

}  // namespace
}  // namespace gigacat::run
