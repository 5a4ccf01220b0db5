// Several ranks over Gloo, each a process of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <memory>

#include "dist/program.h"

namespace gigacat::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

// Scenarios that check themselves, on 2 and 4 ranks.
class Works : public testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(Works, OnAllRanks) {
  const auto [scenario, ranks] = GetParam();
  const Result result = run_ranks(ranks, {scenario});
  EXPECT_EQ(result.code, 0) << result.text;
  for (int rank = 0; rank < ranks; ++rank) EXPECT_THAT(result.text, HasSubstr("rank " + std::to_string(rank) + " ok"));
}

std::string test_name(const testing::TestParamInfo<Works::ParamType>& info) {
  return std::string(std::get<0>(info.param)) + "_" + std::to_string(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Group, Works,
                         testing::Combine(testing::Values("collectives", "broadcasts"), testing::Values(2, 4)),
                         test_name);
INSTANTIATE_TEST_SUITE_P(GroupOfTwo, Works,
                         testing::Combine(testing::Values("views_and_types", "state"), testing::Values(2)), test_name);
INSTANTIATE_TEST_SUITE_P(Gradients, Works,
                         testing::Combine(testing::Values("average", "accumulate", "two_networks"),
                                          testing::Values(2, 4)),
                         test_name);
INSTANTIATE_TEST_SUITE_P(GradientsOfTwo, Works,
                         testing::Combine(testing::Values("average_bf16", "checkpointed", "find_unused"),
                                          testing::Values(2)),
                         test_name);
INSTANTIATE_TEST_SUITE_P(GradientsOfFour, Works,
                         testing::Combine(testing::Values("average_bf16", "find_unused"), testing::Values(4)),
                         test_name);

TEST(Group, StatesOfDifferentShapesAreRefused) {
  const Result result = run_ranks(2, {"state_mismatch"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.text, HasSubstr("error: weights: the ranks hold different tensors"));
}

TEST(Gradients, DifferentNetworksAreRefused) {
  const Result result = run_ranks(2, {"different_networks"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.text, HasSubstr("error: gradient buckets: the ranks hold different tensors"));
}

TEST(Gradients, UnusedParameterIsAnErrorThatNamesIt) {
  const Result result = run_ranks(2, {"unused_everywhere"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.text, HasSubstr("the backward reached no second.bias of 4 parameters"));
  EXPECT_LT(result.seconds, 10);
}

TEST(Gradients, UnusedParameterIsFoundByTheNextStep) {
  const Result result = run_ranks(2, {"unused_unnoticed"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.text, HasSubstr("the backward reached no number 3 of 4 parameters"));
}

TEST(Gradients, ParameterUnusedOnOneRankIsNoHang) {
  const Result result = run_ranks(2, {"unused_once"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.text, HasSubstr("rank 1 failed (exit code 1): error: gradients were not averaged on rank 1"));
  EXPECT_LT(result.seconds, 10);
}

// Ranks of one run without a launcher that would end them; the output of each.
std::vector<Result> run_apart(const std::vector<std::string>& scenario, const std::vector<int>& ranks, int world) {
  const int port = free_port();
  std::vector<std::unique_ptr<Program>> programs;
  for (const int rank : ranks)
    programs.push_back(std::make_unique<Program>(worker(scenario), rank_variables(rank, world, port)));
  std::vector<Result> results;
  for (const auto& program : programs) {
    if (&program == &programs.back() && programs.size() > 1 && (scenario[0] == "hang" || scenario[0] == "stop"))
      program->signal(SIGKILL);
    results.push_back(program->finish());
  }
  return results;
}

TEST(Missing, DeadRankIsNamedByAllOthersWithinSeconds) {
  const std::vector<Result> results = run_apart({"die"}, {0, 1, 2, 3}, 4);
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(results[rank].code, 1);
    EXPECT_LT(results[rank].seconds, 12);
    EXPECT_THAT(results[rank].text, AllOf(HasSubstr("error: first step failed on rank " + std::to_string(rank)),
                                          HasSubstr(": rank 3 ("), HasSubstr("has ended or does not answer"),
                                          Not(HasSubstr("rank 1 (")), Not(HasSubstr("rank 2 ("))));
  }
  EXPECT_EQ(results[3].code, 128 + SIGKILL);
}

TEST(Missing, DeadFirstRankIsNamed) {
  const std::vector<Result> results = run_apart({"die_first"}, {0, 1, 2}, 3);
  for (int rank = 1; rank < 3; ++rank) {
    EXPECT_EQ(results[rank].code, 1);
    EXPECT_LT(results[rank].seconds, 12);
    EXPECT_THAT(results[rank].text, AllOf(HasSubstr("error: first step failed"), HasSubstr(": rank 0, which keeps")));
  }
}

TEST(Missing, HungRankIsNamedAfterTheTimeout) {
  const std::vector<Result> results = run_apart({"hang", "2"}, {0, 1, 2}, 3);
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(results[rank].code, 1);
    EXPECT_LT(results[rank].seconds, 12);
    EXPECT_THAT(results[rank].text, AllOf(HasSubstr("error: first step failed"), HasSubstr(": rank 2 ("),
                                          HasSubstr("has not come: on its own for"), Not(HasSubstr("rank 1 ("))));
  }
}

TEST(Missing, StoppedProcessIsNamed) {
  const std::vector<Result> results = run_apart({"stop", "2"}, {0, 1, 2}, 3);
  for (int rank = 0; rank < 2; ++rank)
    EXPECT_THAT(results[rank].text,
                AllOf(HasSubstr("error: first step failed"), HasSubstr(": rank 2 ("), HasSubstr("does not answer")));
}

TEST(Missing, BarrierHasATimeoutOfItsOwn) {
  const Result result = run_ranks(2, {"late_barrier", "60"});
  EXPECT_EQ(result.code, 1);
  EXPECT_LT(result.seconds, 12);
  EXPECT_THAT(result.text,
              AllOf(HasSubstr("checkpoint failed on rank 0 after 1 s: rank 1 ("), HasSubstr("has not come")));
}

TEST(Missing, DifferentOperationsAreShown) {
  const Result result = run_ranks(2, {"mixed_up", "2"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.text, AnyOf(HasSubstr("in \"weights\""), HasSubstr("on its own")));
}

TEST(Missing, DeathInBackward) {
  const std::vector<Result> results = run_apart({"die_in_backward"}, {0, 1, 2}, 3);
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(results[rank].code, 1);
    EXPECT_LT(results[rank].seconds, 12);
    EXPECT_THAT(results[rank].text, AllOf(HasSubstr("error: gradients of G failed"), HasSubstr(": rank 2 (")));
  }
}

TEST(Missing, HangInBackward) {
  const Result result = run_ranks(3, {"hang_in_backward", "2"});
  EXPECT_EQ(result.code, 1);
  EXPECT_LT(result.seconds, 14);
  EXPECT_THAT(result.text, AllOf(HasSubstr("gradients of G failed"), HasSubstr("rank 2 ("), HasSubstr("has not come")));
}

TEST(Rendezvous, NamesTheRanksThatDidNotCome) {
  const std::vector<Result> results = run_apart({"meet", "20", "2"}, {0, 2}, 4);
  for (const Result& result : results) {
    EXPECT_EQ(result.code, 1);
    EXPECT_LT(result.seconds, 8);
    EXPECT_THAT(result.text,
                AllOf(HasSubstr("error: rendezvous: of 4 ranks these did not come"), HasSubstr("within 2 s: 1, 3")));
  }
}

TEST(Rendezvous, WithoutRankZero) {
  const Result result = run_apart({"meet", "20", "2"}, {1}, 2).front();
  EXPECT_EQ(result.code, 1);
  EXPECT_LT(result.seconds, 10);
  EXPECT_THAT(result.text, HasSubstr("error: rendezvous: rank 1 found no rank 0 at 127.0.0.1:"));
}

TEST(Rendezvous, TwoProcessesOfOneRank) {
  const std::vector<Result> results = run_apart({"meet", "20", "2"}, {0, 1, 1}, 3);
  EXPECT_THAT(results[1].text + results[2].text, HasSubstr("both are rank 1"));
}

TEST(Rendezvous, TakenPortIsAnErrorThatSaysSo) {
  const int port = free_port();
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(port);
  options.isServer = true;
  options.waitWorkers = false;
  const c10d::TCPStore other("127.0.0.1", options);
  Program rank(worker({"meet", "20", "2"}), rank_variables(0, 2, port));
  const Result result = rank.finish();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.text, HasSubstr("set MASTER_PORT to a free port"));
}

// torchrun's agent listens before any rank starts.
TEST(Rendezvous, AtTheStoreOfTorchrunsAgent) {
  c10d::TCPStoreOptions options;
  options.port = 0;
  options.isServer = true;
  options.waitWorkers = false;
  const c10d::TCPStore agent("127.0.0.1", options);
  std::vector<std::unique_ptr<Program>> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    auto variables = rank_variables(rank, 2, agent.getPort());
    variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
    variables["TORCHELASTIC_RESTART_COUNT"] = "1";
    ranks.push_back(std::make_unique<Program>(worker({"collectives"}), variables));
  }
  for (const auto& rank : ranks) {
    const Result result = rank->finish();
    EXPECT_EQ(result.code, 0) << result.text;
  }
}

TEST(Rendezvous, UnknownHost) {
  auto variables = rank_variables(1, 2, 1234);
  variables["MASTER_ADDR"] = "no-such-host.invalid";
  Program rank(worker({"meet", "20", "2"}), variables);
  const Result result = rank.finish();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.text, HasSubstr("no-such-host.invalid"));
}

}  // namespace
}  // namespace gigacat::test
