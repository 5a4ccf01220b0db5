#include "gigacat/dist/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "gigacat/core/error.h"

namespace gigacat::dist {
namespace {

using Variables = std::map<std::string, std::string>;
using testing::AllOf;
using testing::HasSubstr;

Environment detect(const Variables& variables) {
  return Environment::detect([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

std::string error_of(const Variables& variables) {
  try {
    detect(variables);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Environment, NothingSetIsOneProcess) {
  const Environment e = detect({});
  EXPECT_EQ(e.world, 1);
  EXPECT_EQ(e.rank, 0);
  EXPECT_EQ(e.launcher, "single");
}

TEST(Environment, Torchrun) {
  const Environment e = detect({{"RANK", "5"},
                                {"WORLD_SIZE", "8"},
                                {"LOCAL_RANK", "1"},
                                {"LOCAL_WORLD_SIZE", "4"},
                                {"MASTER_ADDR", "node1"},
                                {"MASTER_PORT", "1234"},
                                {"TORCHELASTIC_RESTART_COUNT", "2"},
                                {"TORCHELASTIC_USE_AGENT_STORE", "True"}});
  EXPECT_EQ(e.launcher, "torchrun");
  EXPECT_EQ(e.rank, 5);
  EXPECT_EQ(e.world, 8);
  EXPECT_EQ(e.local_rank, 1);
  EXPECT_EQ(e.local_world, 4);
  EXPECT_EQ(e.master_address, "node1");
  EXPECT_EQ(e.master_port, 1234);
  EXPECT_EQ(e.restart, 2);
  EXPECT_TRUE(e.agent_store);
}

TEST(Environment, RankAndWorldAloneMeanOneMachineOnLoopback) {
  const Environment e = detect({{"RANK", "2"}, {"WORLD_SIZE", "3"}});
  EXPECT_EQ(e.local_rank, 2);
  EXPECT_EQ(e.local_world, 3);
  EXPECT_EQ(e.master_address, "127.0.0.1");
}

TEST(Environment, RankAndWorldAloneMeanOneProcessPerMachineElsewhere) {
  const Environment e = detect({{"RANK", "2"}, {"WORLD_SIZE", "3"}, {"MASTER_ADDR", "10.0.0.1"}});
  EXPECT_EQ(e.local_rank, 0);
  EXPECT_EQ(e.local_world, 1);
}

TEST(Environment, OpenMpi) {
  const Environment e = detect({{"OMPI_COMM_WORLD_RANK", "3"},
                                {"OMPI_COMM_WORLD_SIZE", "4"},
                                {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                {"MASTER_ADDR", "head"},
                                {"SLURM_PROCID", "0"},
                                {"SLURM_NTASKS", "1"}});
  EXPECT_EQ(e.launcher, "mpi");
  EXPECT_EQ(e.rank, 3);
  EXPECT_EQ(e.local_rank, 1);
  EXPECT_EQ(e.local_world, 2);
  EXPECT_EQ(e.master_address, "head");
}

const Variables kSlurm = {{"SLURM_PROCID", "9"},    {"SLURM_NTASKS", "16"},
                          {"SLURM_LOCALID", "1"},   {"SLURM_NTASKS_PER_NODE", "8"},
                          {"SLURM_JOB_ID", "4242"}, {"SLURM_JOB_NODELIST", "gpu[03-04]"}};

TEST(Environment, Slurm) {
  const Environment e = detect(kSlurm);
  EXPECT_EQ(e.launcher, "slurm");
  EXPECT_EQ(e.rank, 9);
  EXPECT_EQ(e.world, 16);
  EXPECT_EQ(e.local_rank, 1);
  EXPECT_EQ(e.local_world, 8);
  EXPECT_EQ(e.master_address, "gpu03");
  EXPECT_GE(e.master_port, 1024);
  EXPECT_LT(e.master_port, 32768);
}

TEST(Environment, SlurmPortsOfTwoJobsDiffer) {
  Variables other = kSlurm;
  other["SLURM_JOB_ID"] = "4243";
  EXPECT_NE(detect(kSlurm).master_port, detect(other).master_port);
}

TEST(Environment, SlurmTakesMasterFromTheUser) {
  Variables variables = kSlurm;
  variables["MASTER_ADDR"] = "10.1.2.3";
  variables["MASTER_PORT"] = "777";
  EXPECT_EQ(detect(variables).master_address, "10.1.2.3");
  EXPECT_EQ(detect(variables).master_port, 777);
}

TEST(Environment, SlurmStepSmallerThanItsJob) {
  Variables variables = kSlurm;
  variables["SLURM_PROCID"] = "1";
  variables["SLURM_NTASKS"] = "2";
  EXPECT_EQ(detect(variables).local_world, 2);
  EXPECT_EQ(detect(variables).master_address, "127.0.0.1");
}

TEST(Environment, SlurmUnevenNodes) {
  Variables variables = kSlurm;
  variables["SLURM_TASKS_PER_NODE"] = "4(x3),2";
  EXPECT_EQ(detect(variables).local_world, 4);
}

TEST(Environment, FirstHost) {
  EXPECT_EQ(first_host("login1"), "login1");
  EXPECT_EQ(first_host("a,b,c"), "a");
  EXPECT_EQ(first_host("gpu[03-05,9],login1"), "gpu03");
  EXPECT_EQ(first_host("gpu[7,9-12]"), "gpu7");
  EXPECT_EQ(first_host("rack[1-2]node[08-10]-ib,x"), "rack1node08-ib");
  EXPECT_THROW(first_host(""), UsageError);
  EXPECT_THROW(first_host("gpu[03-05"), UsageError);
}

TEST(Environment, ErrorsNameTheVariable) {
  EXPECT_THAT(error_of({{"RANK", "0"}}), HasSubstr("RANK is set but WORLD_SIZE is not"));
  EXPECT_THAT(error_of({{"WORLD_SIZE", "2"}}), HasSubstr("WORLD_SIZE is set but RANK is not"));
  EXPECT_THAT(error_of({{"RANK", "two"}, {"WORLD_SIZE", "4"}}), HasSubstr("RANK=\"two\""));
  EXPECT_THAT(error_of({{"RANK", "1x"}, {"WORLD_SIZE", "4"}}), HasSubstr("RANK=\"1x\""));
  EXPECT_THAT(error_of({{"RANK", "99999999999999999999"}, {"WORLD_SIZE", "4"}}), HasSubstr("RANK"));
  EXPECT_THAT(error_of({{"RANK", "-1"}, {"WORLD_SIZE", "4"}}), HasSubstr("RANK=-1"));
  EXPECT_THAT(error_of({{"RANK", "0"}, {"WORLD_SIZE", "0"}}), HasSubstr("WORLD_SIZE=0"));
  EXPECT_THAT(error_of({{"RANK", "4"}, {"WORLD_SIZE", "4"}}), AllOf(HasSubstr("RANK=4"), HasSubstr("WORLD_SIZE=4")));
}

TEST(Environment, ErrorsOfPlace) {
  const Variables base = {{"RANK", "0"}, {"WORLD_SIZE", "4"}};
  const auto with = [&](const char* name, const char* value, const char* more = "", const char* text = "") {
    Variables variables = base;
    variables[name] = value;
    variables[more] = text;
    return error_of(variables);
  };
  EXPECT_THAT(with("MASTER_PORT", "65536"), HasSubstr("MASTER_PORT=65536"));
  EXPECT_THAT(with("MASTER_PORT", "0"), HasSubstr("MASTER_PORT=0"));
  EXPECT_THAT(with("LOCAL_RANK", "2", "LOCAL_WORLD_SIZE", "2"), HasSubstr("LOCAL_RANK=2"));
  EXPECT_THAT(with("LOCAL_WORLD_SIZE", "8"), HasSubstr("LOCAL_WORLD_SIZE=8"));
  EXPECT_THAT(with("LOCAL_RANK", "0", "LOCAL_WORLD_SIZE", "2"), HasSubstr("need MASTER_ADDR"));
  EXPECT_THAT(error_of({{"SLURM_PROCID", "9"}, {"SLURM_NTASKS", "16"}, {"SLURM_LOCALID", "1"}}),
              HasSubstr("SLURM_JOB_NODELIST is not"));
}

}  // namespace
}  // namespace gigacat::dist
