// Several ranks over Gloo, each a process of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <csignal>
#include <memory>
#include <thread>

#include "dist/program.h"
#include "gigacat/core/text.h"

namespace gigacat::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Well above what finding a dead rank takes, and well below the timeout of an exchange in these runs.
constexpr double kSoon = 30;
constexpr const char* kPatient = "90";  // timeout in seconds

// Scenarios that check themselves, one after the other in one set of processes.
class Ranks : public testing::TestWithParam<int> {
 protected:
  void expect_all(const std::vector<std::string>& scenarios) {
    const Result result = run_ranks(GetParam(), {join(scenarios, ",")});
    EXPECT_EQ(result.code, 0) << result.text;
    for (const std::string& scenario : scenarios)
      for (int rank = 0; rank < GetParam(); ++rank)
        EXPECT_THAT(result.text, HasSubstr(cat(scenario, ": rank ", rank, " ok")));
  }
};

TEST_P(Ranks, ExchangeTensors) { expect_all({"collectives", "views_and_types", "broadcasts", "state"}); }

TEST_P(Ranks, AverageGradients) {
  expect_all({"average", "average_bf16", "accumulate", "two_networks", "checkpointed", "find_unused"});
}

INSTANTIATE_TEST_SUITE_P(Group, Ranks, testing::Values(2, 4), testing::PrintToStringParamName());

// Ranks of one run without a launcher that would end them.
class SeparateRanks {
 public:
  SeparateRanks(const std::vector<std::string>& scenario, const std::vector<int>& ranks, int world) {
    const int port = free_port();
    for (const int rank : ranks)
      programs_.push_back(std::make_unique<Program>(worker(scenario), rank_variables(rank, world, port)));
  }
  Result finish(size_t i) { return programs_.at(i)->finish(); }

 private:
  std::vector<std::unique_ptr<Program>> programs_;
};

void expect_failure(const Result& result, const std::string& reason) {
  EXPECT_EQ(result.code, 1);
  EXPECT_LT(result.seconds, kSoon);
  EXPECT_THAT(result.text, HasSubstr("error: " + reason));
  EXPECT_THAT(result.text, Not(HasSubstr("frame #"))) << "LibTorch's stack traces";
}

// The runs below mostly wait: they go on at the same time.
TEST(Missing, DeadRankIsNamedByAllOthersWithinSeconds) {
  SeparateRanks last({"die", kPatient}, {0, 1, 2, 3}, 4), first({"die_first", kPatient}, {0, 1, 2}, 3),
      inside({"die_in_backward", kPatient}, {0, 1, 2}, 3);
  for (int rank = 0; rank < 3; ++rank) {
    const Result result = last.finish(rank);
    expect_failure(result, cat("first step failed on rank ", rank));
    EXPECT_THAT(result.text, AllOf(HasSubstr(": rank 3 ("), HasSubstr("has ended or does not answer")));
    EXPECT_THAT(result.text, AllOf(Not(HasSubstr("rank 1 (")), Not(HasSubstr("rank 2 ("))));
  }
  EXPECT_EQ(last.finish(3).code, 128 + SIGKILL);
  for (int rank = 1; rank < 3; ++rank) {
    const Result result = first.finish(rank);
    expect_failure(result, "first step failed");
    EXPECT_THAT(result.text, HasSubstr(": rank 0, which hosts"));
  }
  for (int rank = 0; rank < 2; ++rank) {
    const Result result = inside.finish(rank);
    expect_failure(result, "gradients of G failed");
    EXPECT_THAT(result.text, HasSubstr(": rank 2 ("));
  }
}

TEST(Missing, RankThatDoesNotComeIsNamedAfterTheTimeout) {
  SeparateRanks hung({"hang", "2"}, {0, 1, 2}, 3), stopped({"stop", "2"}, {0, 1, 2}, 3),
      late({"late_barrier", kPatient}, {0, 1}, 2), inside({"hang_in_backward", "2"}, {0, 1, 2}, 3),
      mixed_up({"mixed_up", "2"}, {0, 1}, 2);
  for (int rank = 0; rank < 2; ++rank) {
    const Result result = hung.finish(rank);
    expect_failure(result, cat("first step failed on rank ", rank));
    EXPECT_THAT(result.text, AllOf(HasSubstr(": rank 2 ("), HasSubstr("has not come: on its own for")));
    EXPECT_THAT(result.text, Not(HasSubstr("rank 1 (")));
  }
  for (int rank = 0; rank < 2; ++rank) {
    const Result result = stopped.finish(rank);
    expect_failure(result, cat("first step failed on rank ", rank));
    EXPECT_THAT(result.text, AllOf(HasSubstr(": rank 2 ("), HasSubstr("does not answer")));
  }
  const Result barrier = late.finish(0);
  expect_failure(barrier, "checkpoint failed on rank 0 after 1 s: rank 1 (");
  EXPECT_THAT(barrier.text, HasSubstr("has not come"));
  for (int rank = 0; rank < 2; ++rank) {
    const Result result = inside.finish(rank);
    expect_failure(result, "gradients of G failed");
    EXPECT_THAT(result.text, AllOf(HasSubstr("rank 2 ("), HasSubstr("has not come")));
  }
  const Result both = mixed_up.finish(0);
  expect_failure(both, "losses failed on rank 0");
  EXPECT_THAT(both.text,
              AllOf(HasSubstr("rank 0 ("), HasSubstr("in \"losses\", rank 1 ("), HasSubstr("in \"weights\"")));
}

TEST(Waiting, SlowWorkOfRankZeroIsNoTimeout) {
  SeparateRanks run({"busy", "2"}, {0, 1, 2}, 3);
  for (int rank = 0; rank < 3; ++rank) {
    const Result result = run.finish(rank);
    EXPECT_EQ(result.code, 0) << result.text;
  }
}

TEST(Refused, StatesOfDifferentShapes) {
  expect_failure(SeparateRanks({"state_mismatch", "2"}, {0, 1}, 2).finish(1),
                 "weights: the ranks hold different tensors");
}

TEST(Refused, DifferentNetworks) {
  SeparateRanks run({"different_networks", "2"}, {0, 1}, 2);
  for (int rank = 0; rank < 2; ++rank)
    expect_failure(run.finish(rank), "gradient buckets: the ranks hold different tensors");
}

// A parameter that the loss does not use: never a hang, and never a step on gradients that were not averaged.
TEST(Refused, UnusedParameter) {
  SeparateRanks everywhere({"unused_everywhere", kPatient}, {0, 1}, 2),
      unnoticed({"unused_unnoticed", kPatient}, {0, 1}, 2), once({"unused_once", kPatient}, {0, 1}, 2);
  for (int rank = 0; rank < 2; ++rank) {
    const std::string start = cat("gradients were not averaged on rank ", rank, ": the backward reached no ");
    expect_failure(everywhere.finish(rank), start + "second.bias of 4 parameters");
    expect_failure(unnoticed.finish(rank), start + "number 3 of 4 parameters");
  }
  expect_failure(once.finish(1), "gradients were not averaged on rank 1: the backward reached no second.bias");
  expect_failure(once.finish(0), "gradients failed on rank 0: rank 1 (");
}

TEST(Rendezvous, NamesTheRanksThatDidNotCome) {
  SeparateRanks two({"meet", kPatient, "2"}, {0, 2}, 4), without_first({"meet", kPatient, "2"}, {1}, 2),
      doubled({"meet", kPatient, "2"}, {0, 1, 1}, 3);
  for (int i = 0; i < 2; ++i) {
    const Result result = two.finish(i);
    expect_failure(result, "rendezvous: of 4 ranks these did not come");
    EXPECT_THAT(result.text, HasSubstr("within 2 s: 1, 3\n"));
  }
  expect_failure(without_first.finish(0), "rendezvous: rank 1 found no rank 0 at 127.0.0.1:");
  EXPECT_THAT(doubled.finish(1).text + doubled.finish(2).text, HasSubstr("both are rank 1"));
}

TEST(Rendezvous, TakenPortIsAnErrorThatSaysSo) {
  const int port = free_port();
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(port);
  options.isServer = true;
  options.waitWorkers = false;
  const c10d::TCPStore other("127.0.0.1", options);
  Program rank(worker({"meet", kPatient, "2"}), rank_variables(0, 2, port));
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

// The same store for all attempts, restart counts that differ: keys of an attempt that failed must not matter.
TEST(Rendezvous, AfterAnAttemptThatFailed) {
  c10d::TCPStoreOptions options;
  options.port = 0;
  options.isServer = true;
  options.waitWorkers = false;
  const c10d::TCPStore agent("127.0.0.1", options);
  const auto start = [&](int rank, int world, const char* count, const std::vector<std::string>& scenario) {
    auto variables = rank_variables(rank, world, agent.getPort());
    variables["TORCHELASTIC_USE_AGENT_STORE"] = "True";
    variables["TORCHELASTIC_RESTART_COUNT"] = count;
    return std::make_unique<Program>(worker(scenario), variables);
  };
  // Three ranks of which one does not come, then three, then two.
  auto lost = start(0, 3, "0", {"collectives", "20", "2"}), also_lost = start(1, 3, "0", {"collectives", "20", "2"});
  EXPECT_EQ(lost->finish().code, 1);
  EXPECT_EQ(also_lost->finish().code, 1);
  for (const int world : {3, 2, 2}) {
    std::vector<std::unique_ptr<Program>> ranks;
    // Those that come before rank 0 find the attempt before theirs.
    for (int rank = world - 1; rank >= 0; --rank) {
      ranks.push_back(start(rank, world, rank == 1 ? "0" : "1", {"collectives"}));
      std::this_thread::sleep_for(std::chrono::milliseconds(700));
    }
    for (const auto& rank : ranks) {
      const Result result = rank->finish();
      EXPECT_EQ(result.code, 0) << result.text;
    }
  }
}

TEST(Rendezvous, UnknownHost) {
  auto variables = rank_variables(1, 2, 1234);
  variables["MASTER_ADDR"] = "no-such-host.invalid";
  Program rank(worker({"meet", kPatient, "2"}), variables);
  const Result result = rank.finish();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.text, HasSubstr("no-such-host.invalid"));
}

}  // namespace
}  // namespace gigacat::test
