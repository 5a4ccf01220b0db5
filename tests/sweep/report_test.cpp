#include "gigacat/sweep/report.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::sweep {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Two labels of two seeds whose runs have written what `write` puts there.
class SweepReport : public ::testing::Test {
 protected:
  SweepReport() {
    folder_.file("base.yaml", "recipe: cat\ndata: {path: images, resolution: 32}\n");
    sweep_ = read_sweep(folder_.file("s.yaml",
                                     "title: A <title>\nbase: base.yaml\nseeds: [1, 2]\nmetrics: [rewrite, diversity]\n"
                                     "higher_is_better: [diversity]\naverage: 2\nset: {train: {steps: 3}}\n"
                                     "rows: {off: {loss: {consistency: 0}}, on: {loss: {consistency: 1}}}\n"
                                     "paper: {off: {fid: 5.43, rewrite: 0.5}}\n"),
                        folder_ / "out");
  }

  void write(const sweep::Run& run, const std::string& status, const std::vector<double>& rewrite,
             const std::string& error = "") {
    const fs::path folder = folder_of(sweep_, run), made = folder / "00000-x";
    fs::create_directories(made / "samples");
    write_atomically(folder / "state.json",
                     "{\"status\": \"" + status + "\", \"error\": \"" + error + "\", \"seconds\": 2}");
    write_atomically(made / "config.yaml", run.config);
    std::string lines;
    for (size_t i = 0; i < rewrite.size(); ++i)
      lines += "{\"step\": " + std::to_string(i + 1) + ", \"rewrite\": " + std::to_string(rewrite[i]) + "}\n";
    write_atomically(made / "metrics.jsonl", lines + "{\"step\": 9, \"rewr");
    write_atomically(made / "samples/fakes-0000002.png", "old");
    write_atomically(made / "samples/fakes-0000003.png", "new");
  }

  TemporaryFolder folder_;
  Sweep sweep_;
};

TEST_F(SweepReport, MeansOverTheLastRecordsAndOverSeeds) {
  write(sweep_.runs[0], "done", {9, 1, 2});
  write(sweep_.runs[1], "done", {9, 2, 3});
  write(sweep_.runs[2], "failed", {7}, "no memory");
  const auto results = read_results(sweep_);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].done, 2);
  const Spread spread = spread_of(results[0], "rewrite");
  EXPECT_DOUBLE_EQ(spread.mean, 2);
  EXPECT_NEAR(spread.deviation, 0.70710678, 1e-6);
  EXPECT_EQ(spread_of(results[1], "rewrite").count, 0) << "a failed run does not count";
  EXPECT_EQ(results[1].results[1].state.status, "waiting");

  const std::string markdown = to_markdown(sweep_, results);
  EXPECT_THAT(markdown, HasSubstr("| run | seeds | rewrite ↓ | rewrite (paper) | diversity ↑ | fid (paper) |"));
  EXPECT_THAT(markdown, HasSubstr("| off | 2 of 2 | 2.00 ± 0.71 | 0.5 |  | 5.43 |"));
  EXPECT_THAT(markdown, HasSubstr("| on | 0 of 2 |"));
  EXPECT_THAT(markdown, HasSubstr("Failed: on, seed 1"));
  EXPECT_THAT(markdown, HasSubstr("no memory"));
}

TEST_F(SweepReport, CsvHasALineForEachRun) {
  write(sweep_.runs[0], "done", {1, 1.5, 2});
  write(sweep_.runs[2], "failed", {7}, "a, b");
  const std::string csv = to_csv(sweep_, read_results(sweep_));
  EXPECT_THAT(csv, HasSubstr("off,1," + sweep_.runs[0].id + ",done,3,2,,1.75,\r\n"));
  EXPECT_THAT(csv, HasSubstr("failed,1,2,\"a, b\",7,\r\n"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5);
}

TEST_F(SweepReport, ThePageNeedsNoOtherFile) {
  write(sweep_.runs[0], "done", {1, 1.5, 2});
  write(sweep_.runs[1], "done", {2, 2.5, 2});
  write_report(sweep_);
  const std::string html = read_file(sweep_.folder / "report.html");
  EXPECT_THAT(html, HasSubstr("A &lt;title&gt;"));
  EXPECT_THAT(html, HasSubstr("data:image/png;base64,bmV3\""));  // the last picture, "new"
  EXPECT_THAT(html, HasSubstr("<polyline"));
  EXPECT_THAT(html, HasSubstr("<polygon")) << "the band of two seeds";
  EXPECT_THAT(html, HasSubstr(">rewrite<"));
  for (const char* outside : {"src=\"http", "href=", "url("}) EXPECT_THAT(html, Not(HasSubstr(outside)));
  EXPECT_TRUE(fs::exists(sweep_.folder / "report.md"));
  EXPECT_TRUE(fs::exists(sweep_.folder / "report.csv"));
}

TEST_F(SweepReport, WithoutMetricsTheWrittenOnesAreShown) {
  sweep_.metrics.clear();
  write(sweep_.runs[0], "done", {1, 1.5, 2});
  EXPECT_THAT(to_markdown(sweep_, read_results(sweep_)), HasSubstr("| run | seeds | rewrite ↓ |"));
  EXPECT_THAT(to_csv(sweep_, read_results(sweep_)), HasSubstr("error,rewrite\r\n"));
}

TEST_F(SweepReport, ArrowsPointToTheBetterValues) {
  sweep_.metrics = {"eval/fid", "eval/fid@0.9", "eval/precision", "eval/kid_std", "direction", "D/loss", "G/align"};
  EXPECT_THAT(
      to_markdown(sweep_, {}),
      HasSubstr("eval/fid ↓ | eval/fid@0.9 ↓ | eval/precision ↑ | eval/kid_std | direction ↑ | D/loss | G/align |"));
}

TEST_F(SweepReport, AMetricThatNoRunHasWrittenIsAnError) {
  for (const sweep::Run& run : sweep_.runs) write(run, "done", {1});
  sweep_.metrics = {"G/rewrite"};
  sweep_.higher_is_better.clear();
  try {
    write_report(sweep_);
    ADD_FAILURE() << "no error";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean rewrite?"));
  }
  EXPECT_TRUE(fs::exists(sweep_.folder / "report.html"));
}

TEST_F(SweepReport, ARunWhoseRunnerWasKilledIsStopped) {
  write(sweep_.runs[0], "running", {1});
  EXPECT_EQ(state_of(sweep_, sweep_.runs[0]).status, "stopped");
  EXPECT_EQ(state_of(sweep_, sweep_.runs[0]).step, 1);
}

}  // namespace
}  // namespace gigacat::sweep
