#include "gigacat/info/cluster_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gigacat/core/error.h"

namespace gigacat::info {
namespace {

using testing::HasSubstr;

std::unique_ptr<run::RunConfig> tiny(const std::vector<std::string>& overrides = {}) {
  return run::parse_config(
      "recipe: cat\ndata: {resolution: 8, num_classes: 3}\nmodel:\n"
      "  generator: {depth: 4, hidden: 32, heads: 2, patch: 2}\n"
      "  discriminator: {depth: 2, hidden: 32, heads: 2, patch: 2, cmap_dim: 32, projector_dim: 32}\n"
      "train: {batch: 64, precision: bf16}\n",
      "test", overrides);
}

PlanReport planned(const std::string& machine, const std::vector<std::string>& overrides = {}) {
  const auto config = tiny(overrides);
  const ModelReport report = describe(*config);
  return plan(*config, report, parse_plan(machine, config->train.precision));
}

std::string refusal(const std::string& machine, const std::vector<std::string>& overrides = {}) {
  try {
    planned(machine, overrides);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Plan, ProfilesAndTheirFigures) {
  EXPECT_EQ(parse_plan("gpus=64", "bf16").tflops, 989);
  EXPECT_EQ(parse_plan("profile=a100", "bf16").tflops, 312);
  EXPECT_EQ(parse_plan("profile=a100", "fp32").tflops, 19.5);
  const MachinePlan own = parse_plan("gpus=4,profile=a100,tflops=100,network_gbs=12.5", "fp32");
  EXPECT_EQ(own.gpus, 4);
  EXPECT_EQ(own.tflops, 100);
  EXPECT_EQ(own.network_gbs, 12.5);
  EXPECT_EQ(own.memory_gb, 80);
}

TEST(Plan, ArithmeticIsSharedAndGradientsAreNot) {
  const auto config = tiny();
  const ModelReport model = describe(*config);
  const PlanReport one = planned("gpus=1"), eight = planned("gpus=8"), many = planned("gpus=64");
  EXPECT_EQ(one.micro_batch, 64);
  EXPECT_EQ(many.micro_batch, 1);
  EXPECT_NEAR(one.compute, 64 * model.step_cost.flops / (989e12 * 0.35), 1e-12);
  EXPECT_NEAR(many.compute, one.compute / 64, 1e-15);
  EXPECT_EQ(many.update, one.update);
  EXPECT_EQ(one.all_reduce, 0);
  EXPECT_GT(many.all_reduce, eight.all_reduce);
  EXPECT_LE(many.exposed, many.all_reduce);
  EXPECT_LT(many.memory.total(), one.memory.total());
}

TEST(Plan, ARingInANodeAndOneBetweenThem) {
  const double bytes = planned("gpus=1").gradient_bytes;
  EXPECT_NEAR(planned("gpus=8,latency_us=0,node_gbs=100").all_reduce, 2 * 7.0 / 8 * bytes / 100e9, 1e-15);
  EXPECT_NEAR(planned("gpus=2,gpus_per_node=1,latency_us=0,network_gbs=10").all_reduce, bytes / 10e9, 1e-15);
  const double both = planned("gpus=16,latency_us=0,node_gbs=100,network_gbs=10").all_reduce;
  EXPECT_NEAR(both, 2 * 7.0 / 8 * bytes / 100e9 + bytes / 8 / 10e9, 1e-15);
}

TEST(Plan, CompressionHalvesTheBytes) {
  const PlanReport full = planned("gpus=8,latency_us=0");
  const PlanReport half = planned("gpus=8,latency_us=0", {"train.gradient_compression=bf16"});
  EXPECT_EQ(half.gradient_bytes, full.gradient_bytes / 2);
  EXPECT_NEAR(half.all_reduce, full.all_reduce / 2, 1e-15);
}

TEST(Plan, SharedMomentsTakeLessMemoryAndOneMoreExchange) {
  const PlanReport whole = planned("gpus=8"), shared = planned("gpus=8", {"train.shard_optimizer=true"});
  EXPECT_NEAR(shared.memory.optimizer, whole.memory.optimizer / 8, 1);
  EXPECT_LT(shared.update, whole.update);
  EXPECT_EQ(whole.gather, 0);
  EXPECT_NEAR(shared.gather, 7.0 / 8 * whole.gradient_bytes / 450e9, 1e-15);
}

TEST(Plan, MemoryThatDoesNotFitIsSaid) {
  const auto config = tiny();
  const ModelReport model = describe(*config);
  PlanReport report = planned("gpus=8");
  EXPECT_TRUE(report.fits);
  EXPECT_THAT(to_text(report, *config), HasSubstr("fits into 80 GB"));
  report = planned("gpus=1,memory_gb=1", {"train.batch=65536"});
  EXPECT_FALSE(report.fits);
  EXPECT_THAT(to_text(report, *config), HasSubstr("does not fit into 1 GB"));
}

TEST(Plan, Refusals) {
  EXPECT_THAT(refusal("gpus=63"), HasSubstr("not divisible by 63"));
  EXPECT_THAT(refusal("profile=tpu"), HasSubstr("h100 and a100"));
  EXPECT_THAT(refusal("gpu=64"), HasSubstr("gpus"));
  EXPECT_THAT(refusal("64"), HasSubstr("KEY=VALUE"));
  EXPECT_THAT(refusal("utilisation=2"), HasSubstr("utilisation"));
}

}  // namespace
}  // namespace gigacat::info
