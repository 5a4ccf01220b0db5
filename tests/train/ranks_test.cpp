// The toy GAN on several ranks, each a process of its own.
#include <gmock/gmock.h>

#include <csignal>

#include "dist/program.h"
#include "gigacat/run/checkpoint.h"
#include "gigacat/run/run_folder.h"
#include "gigacat/train/trainer.h"
#include "paths.h"
#include "train/fixtures.h"

namespace gigacat::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RanksTest : public ToyTest {
 protected:
  std::vector<std::string> command(int ranks, const std::vector<std::string>& arguments) const {
    std::vector<std::string> all{std::string(test::bin_dir()) + "/toy_train", "--ranks", std::to_string(ranks)};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }
  std::vector<std::string> fresh(const std::vector<std::string>& more) const {
    std::vector<std::string> all{toy_yaml()};
    for (const std::string& item : overrides(more)) all.push_back(item);
    return all;
  }
};

// Weights, averages and losses of 20 steps on 1, 2 and 4 ranks.
class RecipeRanksTest : public RanksTest, public testing::WithParamInterface<const char*> {};

TEST_P(RecipeRanksTest, OneTwoAndFourAgree) {
  const std::string yaml = std::string(GetParam()) == "toy" ? toy_yaml() : tiny_yaml(folder_, GetParam());
  std::vector<std::string> arguments{yaml};
  for (const std::string& item : overrides({"train.steps=20", "train.accumulate=2", "log.every=1"}))
    arguments.push_back(item);
  std::vector<nn::TensorMap> weights;
  std::vector<std::vector<nlohmann::json>> metrics;
  for (const int ranks : {1, 2, 4}) {
    const auto result = test::Program(command(ranks, arguments)).finish(120);
    ASSERT_EQ(result.code, 0) << result.text;
    const fs::path run = newest_run(out());
    weights.push_back(weights_of(run, 20));
    std::erase_if(weights.back(), [](const auto& item) { return item.first.starts_with("optimizer"); });
    // A pair of real and fake shares its label, which cancels this bias: its gradient is rounding alone, and Adam makes
    // whole steps of it.
    weights.back().erase("discriminator/final_layer.1.bias");
    metrics.push_back(metrics_of(run));
    EXPECT_LT(distance(weights.front(), weights.back()), 1e-4) << ranks << " ranks";
    ASSERT_EQ(metrics.back().size(), 20u);
    for (size_t i = 0; i < 20; ++i)
      for (const char* key : {"D/loss", "G/loss", "D/accuracy_real", "grad_norm/D", "grad_norm/G", "diversity"}) {
        const double wanted = metrics.front()[i][key], found = metrics.back()[i][key];
        EXPECT_NEAR(found, wanted, 1e-4 * std::abs(wanted)) << key << " of step " << i + 1 << ", " << ranks << " ranks";
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, RecipeRanksTest, testing::Values("toy", "gat", "cat"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST_F(RanksTest, CompressedGradientsGoTheSameWay) {
  const auto exact = weights_of(run({"train.steps=10"}), 10);
  std::vector<double> away;
  for (const char* compression : {"none", "bf16"}) {
    const auto result =
        test::Program(command(2, fresh({"train.steps=10", cat("train.gradient_compression=", compression)})))
            .finish(120);
    ASSERT_EQ(result.code, 0) << result.text;
    away.push_back(difference(weights_of(newest_run(out()), 10), exact));
  }
  EXPECT_LT(away[0], 1e-4);
  EXPECT_GT(away[1], away[0]);  // rounded to 8 bits
  EXPECT_LT(away[1], 0.05);
}

TEST_F(RanksTest, GoesOnWithAnotherNumberOfRanks) {
  const auto wanted = weights_of(run({"train.steps=12"}), 12);
  const fs::path run = this->run({"train.steps=6"});
  const auto result = test::Program(command(2, {"--resume", run.string(), "train.steps=12"})).finish(120);
  ASSERT_EQ(result.code, 0) << result.text;
  EXPECT_LT(difference(weights_of(run, 12), wanted), 1e-4);
}

TEST_F(RanksTest, TheSameRanksGoOnToTheBit) {
  const auto first = test::Program(command(2, fresh({"train.steps=12"}))).finish(120);
  ASSERT_EQ(first.code, 0) << first.text;
  const auto wanted = weights_of(newest_run(out()), 12);
  const auto part = test::Program(command(2, fresh({"train.steps=7"}))).finish(120);
  ASSERT_EQ(part.code, 0) << part.text;
  const fs::path run = newest_run(out());
  const auto rest = test::Program(command(2, {"--resume", run.string(), "train.steps=12"})).finish(120);
  ASSERT_EQ(rest.code, 0) << rest.text;
  EXPECT_EQ(difference(weights_of(run, 12), wanted), 0);
}

// Each rank keeps the moments of its own parameters alone: the numbers and the checkpoint are the same to the bit.
TEST_F(RanksTest, SharedMomentsChangeNothing) {
  for (const int ranks : {2, 4}) {
    const auto whole = test::Program(command(ranks, fresh({"train.steps=12"}))).finish(120);
    ASSERT_EQ(whole.code, 0) << whole.text;
    const auto wanted = weights_of(newest_run(out()), 12);
    const auto part = test::Program(command(ranks, fresh({"train.steps=7", "train.shard_optimizer=true"}))).finish(120);
    ASSERT_EQ(part.code, 0) << part.text;
    const fs::path run = newest_run(out());
    const auto rest = test::Program(command(ranks, {"--resume", run.string(), "train.steps=12"})).finish(120);
    ASSERT_EQ(rest.code, 0) << rest.text;
    const auto found = weights_of(run, 12);
    ASSERT_EQ(found.size(), wanted.size());
    EXPECT_EQ(difference(found, wanted), 0) << ranks << " ranks";
  }
}

TEST_F(RanksTest, ASignalStopsAllRanksAfterTheSameStep) {
  test::Program program(command(2, fresh({"train.steps=100000", "checkpoint.every=1000000"})));
  ASSERT_TRUE(program.wait_for("step 5 ", 60));
  program.signal(SIGTERM);
  const auto result = program.finish(60);
  EXPECT_EQ(result.code, kExitTerminated) << result.text;
  EXPECT_EQ(run::list_checkpoints(newest_run(out()) / "checkpoints").size(), 1u);
  EXPECT_THAT(result.text, HasSubstr("stopped on request"));
}

// A file system that hangs for longer than the timeout: rank 0 waits for it, and the others for rank 0.
TEST_F(RanksTest, ASlowDiskIsNoTimeout) {
  const std::vector<std::string> keys{"train.steps=12", "train.timeout=3", "checkpoint.every=2", "log.samples_every=4"};
  const auto wanted = weights_of(run(keys), 12);
  for (const char* slow : {"metrics.jsonl", "/samples/", "/checkpoints/", "run.json", ".gigacat-"}) {
    const fs::path mark = folder_.path(cat("mark-", fs::path(slow).filename().string()));
    test::Program program(command(2, fresh(keys)), {{"LD_PRELOAD", std::string(test::bin_dir()) + "/libslow_disk.so"},
                                                    {"SLOW_DISK_PATH", slow},
                                                    {"SLOW_DISK_SECONDS", "8"},
                                                    {"SLOW_DISK_MARK", mark.string()}});
    const auto result = program.finish(120);
    EXPECT_EQ(result.code, 0) << slow << "\n" << result.text;
    EXPECT_TRUE(fs::exists(mark) || std::string(slow) == "run.json") << slow;
    EXPECT_LT(difference(weights_of(newest_run(out()), 12), wanted), 1e-4) << slow;
  }
}

// A checkpoint that could not be written before SIGKILL comes is not begun.
TEST_F(RanksTest, ASlowDiskAndLittleTimeLeaveTheCheckpointBefore) {
  test::Program program(command(2, fresh({"train.steps=100000", "checkpoint.every=5"})),
                        {{"LD_PRELOAD", std::string(test::bin_dir()) + "/libslow_disk.so"},
                         {"SLOW_DISK_PATH", "/checkpoints/.tmp-"},
                         {"SLOW_DISK_SECONDS", "1"},
                         {"GIGACAT_STOP_SECONDS", "10"}});
  ASSERT_TRUE(program.wait_for("step-0000005 written in", 90));
  program.signal(SIGTERM);
  const auto result = program.finish(60);
  EXPECT_EQ(result.code, kExitTerminated) << result.text;
  EXPECT_THAT(result.text, HasSubstr("is begun: it takes some"));
  EXPECT_THAT(run::list_checkpoints(newest_run(out()) / "checkpoints"), ElementsAre(5, 10));
}

TEST_F(RanksTest, TheBatchMustDivideOverTheRanks) {
  const auto result = test::Program(command(2, fresh({"train.batch=5"}))).finish(60);
  EXPECT_EQ(result.code, 2) << result.text;
  EXPECT_THAT(result.text, HasSubstr("5 is not divisible by 2 ranks"));
}

}  // namespace
}  // namespace gigacat::train
