// Runs that end early and go on.
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "dist/program.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/run/checkpoint.h"
#include "gigacat/run/run_folder.h"
#include "gigacat/train/trainer.h"
#include "paths.h"
#include "train/fixtures.h"

namespace gigacat::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class ResumeTest : public ToyTest {
 protected:
  // Weights after step 12 of a run that was never stopped.
  nn::TensorMap whole(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{"train.steps=12", "name=whole"};
    all.insert(all.end(), more.begin(), more.end());
    return weights_of(run(all), 12);
  }
};

TEST_F(ResumeTest, GoesOnToTheBit) {
  for (const std::string precision : {"fp32", "fp16", "bf16"}) {
    const std::string key = "train.precision=" + precision;
    const auto wanted = whole({key});
    const fs::path run = this->run({"train.steps=7", key});
    resume(run, {"train.steps=12"});
    EXPECT_EQ(difference(weights_of(run, 12), wanted), 0) << precision;
  }
}

TEST_F(ResumeTest, GatAndCatGoOnToTheBit) {
  for (const char* recipe : {"gat", "cat"}) {
    const std::string yaml = tiny_yaml(folder_, recipe);
    const auto trained = [&](const std::string& steps) {
      EXPECT_EQ(train(*run::load_config(yaml, overrides({"train.steps=" + steps, "data.flip=true"})), {}, {}), 0);
      return newest_run(out());
    };
    const auto wanted = weights_of(trained("12"), 12);
    const fs::path run = trained("7");
    resume(run, {"train.steps=12"});
    EXPECT_EQ(difference(weights_of(run, 12), wanted), 0) << recipe;
  }
}

TEST_F(ResumeTest, TheFilesReadAsOfOneRun) {
  const fs::path run = this->run({"train.steps=13", "checkpoint.keep_last=9", "log.every=2"});
  fs::remove_all(run::checkpoint_path(run / "checkpoints", 13));  // as if it had been killed after step 13
  resume(run, {"train.steps=15"});
  std::vector<int64_t> steps;
  for (const auto& line : metrics_of(run)) steps.push_back(line["step"]);
  EXPECT_THAT(steps, ElementsAre(1, 2, 4, 6, 8, 10, 12, 14, 15));
  EXPECT_THAT(read_file(run / "log.txt"), AllOf(HasSubstr("going on after step 10"), HasSubstr("run folder ")));
  EXPECT_EQ(nlohmann::json::parse(read_file(run / "run.json"))["first_step"], 10);
}

TEST_F(ResumeTest, UsesTheCheckpointBeforeABrokenOne) {
  const auto wanted = whole();
  const fs::path run = this->run({"train.steps=11", "checkpoint.every=4"});  // 4, 8, 11
  flip_bit(run::checkpoint_path(run / "checkpoints", 11) / "ema.safetensors", 200);
  resume(run, {"train.steps=12"});
  EXPECT_EQ(difference(weights_of(run, 12), wanted), 0);
  EXPECT_THAT(read_file(run / "log.txt"), HasSubstr("going on after step 8"));
}

TEST_F(ResumeTest, ARunWhoseCheckpointsAreAllBrokenIsNotBegunAgain) {
  const fs::path run = this->run({"train.steps=6"});
  const std::string metrics = read_file(run / "metrics.jsonl");
  for (const int64_t step : run::list_checkpoints(run / "checkpoints"))
    flip_bit(run::checkpoint_path(run / "checkpoints", step) / "ema.safetensors", 200);
  EXPECT_THAT(error_of<Error>([&] { resume(run, {"train.steps=8"}); }), HasSubstr("no checkpoint in "));
  EXPECT_EQ(read_file(run / "metrics.jsonl"), metrics);
}

TEST_F(ResumeTest, ACheckpointBeginsANewRunAtItsStep) {
  const auto wanted = whole();
  const fs::path run = this->run({"train.steps=7"}), checkpoint = run::checkpoint_path(run / "checkpoints", 7);
  const auto files = [&] { return std::distance(fs::recursive_directory_iterator(run), {}); };
  const auto before = files();
  resume(checkpoint, {"train.steps=12", "log.every=1"});
  const fs::path branch = newest_run(out());
  EXPECT_NE(branch, run);
  EXPECT_EQ(files(), before);
  EXPECT_EQ(difference(weights_of(branch, 12), wanted), 0);
  EXPECT_EQ(metrics_of(branch).front()["step"], 8);
  const auto info = nlohmann::json::parse(read_file(branch / "run.json"));
  EXPECT_EQ(info["starts"][0]["from"], fs::absolute(checkpoint).string());
  EXPECT_EQ(info["starts"][0]["step"], 7);
}

TEST_F(ResumeTest, ChangesAreKept) {
  const fs::path run = this->run({"train.steps=6"});
  resume(run, {"train.steps=8", "optimizer.lr=0.001"}, {"optimizer"});
  resume(run, {"train.steps=9"});
  const auto starts = nlohmann::json::parse(read_file(run / "run.json"))["starts"];
  ASSERT_EQ(starts.size(), 3u);
  EXPECT_FALSE(starts[0].contains("changes"));
  EXPECT_THAT(starts[1]["changes"].dump(), AllOf(HasSubstr("optimizer.lr: 0.002 -> 0.001"), HasSubstr("train.steps")));
  EXPECT_EQ(starts[2]["step"], 8);
}

TEST_F(ResumeTest, TheSameDataElsewhereIsTheSameData) {
  const auto wanted = whole();
  const fs::path run = this->run({"train.steps=6"});
  fs::rename(folder_.path("images"), folder_.path("pictures"));
  resume(run, {"train.steps=12", "data.path=" + folder_.path("pictures")});
  EXPECT_EQ(difference(weights_of(run, 12), wanted), 0);
}

TEST_F(ResumeTest, BeginsAgainWithoutAnyCheckpoint) {
  const auto wanted = whole();
  const fs::path run = this->run({"train.steps=12"});
  fs::remove_all(run / "checkpoints");
  resume(run);
  EXPECT_EQ(difference(weights_of(run, 12), wanted), 0);
}

TEST_F(ResumeTest, AFinishedRunHasNothingLeftToDo) {
  const fs::path run = this->run({"train.steps=12"});
  const std::string before = read_file(run / "metrics.jsonl");
  resume(run);
  EXPECT_EQ(read_file(run / "metrics.jsonl"), before);
}

TEST_F(ResumeTest, AnotherConfigIsRefusedWithTheDifference) {
  const fs::path run = this->run({"train.steps=6"});
  const std::string error = error_of<UsageError>([&] {
    resume(run, {"train.steps=8", "optimizer.lr=0.5", "model.hidden=8"});
  });
  EXPECT_THAT(error, AllOf(HasSubstr("optimizer.lr: 0.002 -> 0.5"), HasSubstr("model.hidden: 16 -> 8"),
                           Not(HasSubstr("train.steps")), HasSubstr("add: --allow model.hidden,optimizer.lr")));
  EXPECT_THAT(error_of<UsageError>([&] { resume(run, {}, {"optimiser.lr"}); }),
              HasSubstr("did you mean optimizer.lr?"));
  EXPECT_THAT(error_of<Error>([&] {
                resume(run, {"train.steps=8", "model.hidden=8"}, {"model"});
              }),
              HasSubstr("does not fit the network"));
  resume(run, {"train.steps=8", "optimizer.lr=0.001"}, {"optimizer"});
  EXPECT_EQ(metrics_of(run).back()["lr/D"], 0.001);
}

TEST_F(ResumeTest, OtherDataIsRefused) {
  const fs::path run = this->run({"train.steps=6"});
  folder_.write("images/a/more.png", data::solid_png(8, 8, 1));
  EXPECT_THAT(error_of<UsageError>([&] { resume(run, {"train.steps=8"}); }),
              AllOf(HasSubstr("the data set is not the one"), HasSubstr("--allow data.path")));
  resume(run, {"train.steps=8"}, {"data"});
}

TEST_F(ResumeTest, ARunInUseIsRefused) {
  const fs::path run = this->run({"train.steps=6"});
  const run::RunLock lock(run::RunFolder::open(run));
  EXPECT_THAT(error_of<UsageError>([&] { resume(run, {"train.steps=8"}); }), HasSubstr("is in use"));
}

TEST_F(ResumeTest, ARestartGoesOnWithTheRunOfItsLaunch) {
  const auto start = [&](const char* agent, const char* seed = "1") {
    dist::Environment environment;
    environment.agent = agent;
    ASSERT_EQ(train(*config({"train.steps=6", cat("seed=", seed)}), environment, {}), 0);
  };
  start("node/1/100");
  const fs::path first = newest_run(out());
  start("node/1/100", "3");  // of another config
  start("node/2/200");       // of another launch
  start("");                 // of none
  EXPECT_EQ(run::list_runs(out()).size(), 4u);
  fs::remove_all(run::checkpoint_path(first / "checkpoints", 6));
  start("node/1/100");
  EXPECT_EQ(run::list_runs(out()).size(), 4u);
  EXPECT_THAT(run::list_checkpoints(first / "checkpoints"), ElementsAre(6));
  start("node/3/300");  // a launch that failed before it had a run of its own resumes nobody's
  EXPECT_EQ(run::list_runs(out()).size(), 5u);
}

TEST_F(ResumeTest, ARestartWaitsForARankOfTheFailedAttempt) {
  dist::Environment environment;
  environment.agent = "node/1/100";
  ASSERT_EQ(train(*config({"train.steps=6"}), environment, {}), 0);
  auto lock = std::make_unique<run::RunLock>(run::RunFolder::open(newest_run(out())));
  std::thread failed([&] {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    lock.reset();
  });
  EXPECT_EQ(train(*config({"train.steps=6"}), environment, {}), 0);
  failed.join();
  EXPECT_EQ(run::list_runs(out()).size(), 1u);
}

// Killed at moments that no one chose, again and again, until it is done.
TEST_F(ResumeTest, KilledAtAnyMomentEndsAtTheSameWeights) {
  const std::vector<std::string> more{"train.steps=60", "checkpoint.every=2", "log.every=1"};
  const auto wanted = weights_of(run({"train.steps=60", "name=whole"}), 60);
  std::vector<std::string> command{std::string(test::bin_dir()) + "/toy_train", toy_yaml()};
  for (const std::string& item : overrides(more)) command.push_back(item);
  const fs::path run = fs::path(out()) / "00001-toy";
  int kills = 0;
  for (int attempt = 0; attempt < 60; ++attempt) {
    test::Program program(command);
    if (program.wait_for("first step", 60)) std::this_thread::sleep_for(std::chrono::milliseconds(7 * (attempt % 5)));
    if (attempt < 6) program.signal(SIGKILL);
    const auto result = program.finish(60);
    if (result.code == 0) break;
    ASSERT_EQ(result.code, 128 + SIGKILL) << result.text;
    ++kills;
    command = {command[0], "--resume", run.string()};
  }
  EXPECT_GT(kills, 1);
  EXPECT_EQ(difference(weights_of(run, 60), wanted), 0);
  for (const auto& entry : fs::directory_iterator(run / "checkpoints"))
    EXPECT_THAT(entry.path().filename().string(), Not(testing::StartsWith(".tmp")));
}

}  // namespace
}  // namespace gigacat::train
