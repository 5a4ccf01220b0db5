#include "gigacat/report/run_report.h"

#include <gmock/gmock.h>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/image.h"
#include "gigacat/run/config.h"

namespace gigacat::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kLog =
    "2026-11-30 22:00:00.000 run folder runs/00000-x\n"
    "2026-11-30 22:00:10.000 step 20 kimg 1\n"
    "2026-11-30 22:00:11.000 warning: step 21: the gradient of the generator is not finite\n"
    "2026-11-30 22:00:12.000 warning: step 22: the gradient of the generator is not finite\n"
    "2026-11-30 22:00:20.000 step 40 kimg 2\n"
    "2026-11-30 23:00:00.000 going on with run runs/00000-x\n"
    "2026-11-30 23:00:01.000 going on after step 30 (1.5 kimg)\n"
    "a line that continues the one before\n"
    "2026-11-30 23:00:31.500 step 60 kimg 3\n"
    "2026-11-30 23:00:32.000 done: 60 steps, 3 kimg in runs/00000-x\n";

TEST(RunLog, IsCutIntoSessionsAndEvents) {
  std::vector<Session> sessions;
  std::vector<Event> events;
  read_log(kLog, /*alive=*/false, sessions, events);
  ASSERT_EQ(sessions.size(), 2u);
  EXPECT_EQ(sessions[0].end, "");
  EXPECT_EQ(sessions[0].last_step, 40);
  EXPECT_DOUBLE_EQ(sessions[0].seconds, 20);
  EXPECT_EQ(sessions[1].end, "finished");
  EXPECT_EQ(sessions[1].first_step, 30);
  EXPECT_EQ(sessions[1].last_step, 60);
  EXPECT_EQ(sessions[1].started, "2026-11-30 23:00:00");
  std::vector<std::string> kinds;
  for (const Event& event : events) kinds.push_back(event.kind);
  EXPECT_THAT(kinds, ElementsAre("warning", "killed", "resumed"));
  EXPECT_EQ(events[0].times, 2) << "lines that differ in numbers only";
  EXPECT_EQ(events[1].step, 40);
}

TEST(RunLog, ARunUnderWayIsNotKilled) {
  for (const bool alive : {true, false}) {
    std::vector<Session> sessions;
    std::vector<Event> events;
    read_log("2026-11-30 22:00:00.000 run folder runs/00000-x\n", alive, sessions, events);
    ASSERT_EQ(sessions.size(), 1u);
    EXPECT_EQ(sessions[0].end, alive ? "running" : "");
    EXPECT_EQ(events.size(), alive ? 0u : 1u);
  }
  std::vector<Session> none;
  std::vector<Event> events;
  read_log("no log at all\n\n9999999999999-1-1\n", false, none, events);
  EXPECT_TRUE(none.empty());
}

// Run folders as training writes them.
class RunReport : public ::testing::Test {
 protected:
  fs::path run(const std::string& name, const std::string& overrides = "") {
    const fs::path run = folder_ / name;
    fs::create_directories(run / "samples");
    const auto config = run::parse_config("recipe: cat\ndata: {path: images, resolution: 32}\n" + overrides, "x");
    write_atomically(run / "config.yaml", config->to_yaml());
    write_atomically(run / "log.txt", kLog);
    write_atomically(run / "run.json", R"({"version": "1<2", "ranks": 2, "data": {"path": "images", "samples": 7}})");
    write_atomically(run / "best.json", R"({"metric": "fid", "value": 9.5, "step": 40})");
    write_atomically(
        run / "metrics.jsonl",
        "{\"step\": 20, \"D/loss\": 0.5, \"G/loss\": 1, \"kimg\": 1, \"time/D\": 0.25, \"skipped/D\": 0}\n"
        "{\"step\": 40, \"D/loss\": 0.25, \"G/loss\": 2, \"kimg\": 2, \"time/D\": 0.75, \"skipped/D\": 3}\n"
        "{\"step\": 40, \"eval\": {\"results\": {\"fid\": 12.5, \"kid\": \"inf\"}, \"real\": \"images\", "
        "\"real_images\": 7, \"fake_images\": 5}}\n"
        "not JSON\n{\"step\": 60, \"D/lo");
    for (const char* step : {"0000020", "0000040", "0000060"})
      write_atomically(run / "samples" / (std::string("fakes-") + step + ".png"),
                       io::encode_png(io::Image::filled(16, 16, 3, 90)));
    write_atomically(run / "samples/reals-0000000.png", io::encode_png(io::Image::filled(16, 16, 3, 60)));
    return run;
  }
  TemporaryFolder folder_;
};

TEST_F(RunReport, ReadsWhatTheFolderHolds) {
  const RunRecord record = read_run(run("00000-x"));
  EXPECT_EQ(record.name, "00000-x");
  EXPECT_EQ(record.metrics.curves.at("D/loss").size(), 2u);
  EXPECT_DOUBLE_EQ(record.metrics.curves.at("eval/fid").at(0).y, 12.5);
  EXPECT_EQ(record.metrics.damaged_lines, 2);
  EXPECT_EQ(record.info.at("data.samples"), "7");
  EXPECT_EQ(record.best.step, 40);
  ASSERT_EQ(record.grids.size(), 3u);
  EXPECT_EQ(record.grids[2].step, 60);
  EXPECT_THROW(read_run(folder_ / "nowhere"), UsageError);
}

TEST_F(RunReport, ThePageHoldsEverything) {
  const std::string page = to_html({read_run(run("00000-x"))});
  for (const char* part : {"00000-x",
                           "60 of ",
                           "finished",
                           "1&lt;2",
                           "in 2 sessions",
                           "D 3",
                           "fid 9.5 at step 40",
                           "5 generated images against 7 of images",
                           ">12.5<",
                           ">inf<",
                           "2 times",
                           "killed",
                           "Values that differ from the defaults",
                           "<code>data.path</code>",
                           "data-step=\"20\" hidden",
                           "data-step=\"60\" width=\"512\"",
                           "data:image/png;base64,",
                           "type=\"range\"",
                           "was resumed after step 30",
                           "2 lines cannot be read"})
    EXPECT_THAT(page, HasSubstr(part));
  EXPECT_THAT(page, Not(HasSubstr("src=\"http")));
  EXPECT_THAT(page, Not(HasSubstr("differ between the runs")));
}

TEST_F(RunReport, ComparesRuns) {
  const RunRecord a = read_run(run("00000-a")), b = read_run(run("00001-b", "optimizer: {lr: 0.5}\n"));
  const std::string page = to_html({a, b}, {.title = "Two <runs>"});
  EXPECT_THAT(page, HasSubstr("<h1>Two &lt;runs&gt;</h1>"));
  const std::string between = page.substr(page.find("Values that differ between the runs"));
  EXPECT_THAT(between.substr(0, between.find("</table>")), HasSubstr("<code>optimizer.lr</code>"));
  EXPECT_THAT(between.substr(0, between.find("</table>")), Not(HasSubstr("data.path")));
  EXPECT_THAT(page, HasSubstr("data-name=\"00001-b G/loss\""));
  EXPECT_THAT(to_html({a, a}), HasSubstr("The runs have the same config."));
}

TEST_F(RunReport, RunsOfEqualNamesCarryTheFoldersAboveThem) {
  const RunRecord a = read_run(run("first/00000-x")), b = read_run(run("second/00000-x")), c = read_run(run("00001-y"));
  const std::string page = to_html({a, b, c});
  EXPECT_THAT(page, HasSubstr("<h1>first/00000-x, second/00000-x, 00001-y</h1>"));
  EXPECT_THAT(page, HasSubstr("data-name=\"first/00000-x G/loss\""));
  EXPECT_THAT(page, HasSubstr("data-name=\"second/00000-x G/loss\""));
  EXPECT_THAT(page, HasSubstr("data-name=\"00001-y G/loss\""));
  const RunRecord deep = read_run(run("third/runs/00000-x")), other = read_run(run("fourth/runs/00000-x"));
  EXPECT_THAT(to_html({deep, other}), HasSubstr("third/runs/00000-x, fourth/runs/00000-x"));
}

TEST_F(RunReport, FewGridsAreChosenEvenly) {
  const RunRecord record = read_run(run("00000-x"));
  const std::string two = to_html({record}, {.most_grids = 2}), one = to_html({record}, {.most_grids = 1});
  EXPECT_THAT(two, HasSubstr("data-step=\"20\""));
  EXPECT_THAT(two, Not(HasSubstr("data-step=\"40\"")));
  EXPECT_THAT(two, HasSubstr("data-step=\"60\""));
  EXPECT_THAT(one, HasSubstr("data-step=\"60\""));
  EXPECT_THAT(one, Not(HasSubstr("data-step=\"20\"")));
}

TEST_F(RunReport, ARunThatHasJustBegunOrIsDamagedHasAPage) {
  const fs::path empty = folder_ / "00002-empty";
  fs::create_directories(empty);
  write_atomically(empty / "config.yaml", "recipe: of another version\nkey: [1, 2]\n");
  write_atomically(empty / "run.json", "{\"vers");
  const std::string page = to_html({read_run(empty)});
  EXPECT_THAT(page, HasSubstr("this version cannot read the config"));
  EXPECT_THAT(page, HasSubstr("No metrics have been written yet"));
  const fs::path broken = run("00003-broken");
  write_atomically(broken / "samples/fakes-0000040.png", "no picture");
  write_atomically(broken / "config.yaml", "a: [");
  EXPECT_THAT(to_html({read_run(broken)}), HasSubstr("fakes-0000040.png"));
  EXPECT_THROW(to_html({}), UsageError);
}

}  // namespace
}  // namespace gigacat::report
