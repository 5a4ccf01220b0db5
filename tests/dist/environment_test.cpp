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

const Variables kSlurm = {{"SLURM_STEP_ID", "0"},
                          {"SLURM_PROCID", "9"},
                          {"SLURM_NTASKS", "16"},
                          {"SLURM_LOCALID", "1"},
                          {"SLURM_NTASKS_PER_NODE", "8"},
                          {"SLURM_JOB_ID", "4242"},
                          {"SLURM_JOB_NODELIST", "gpu[03-04]"}};

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
  EXPECT_THAT(error_of({{"RANK", "1"}}), AllOf(HasSubstr("RANK is set but WORLD_SIZE is not (RANK=1)"),
                                               HasSubstr("unset RANK"), HasSubstr("torchrun")));
  EXPECT_THAT(error_of({{"WORLD_SIZE", "2"}}),
              AllOf(HasSubstr("WORLD_SIZE is set but RANK is not (WORLD_SIZE=2)"), HasSubstr("unset WORLD_SIZE")));
  EXPECT_THAT(error_of({{"PMI_RANK", "2"}}), AllOf(HasSubstr("unset PMI_RANK"), HasSubstr("mpirun")));
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
  EXPECT_THAT(error_of({{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "9"}, {"SLURM_NTASKS", "16"}, {"SLURM_LOCALID", "1"}}),
              HasSubstr("SLURM_JOB_NODELIST is not"));
}

// What people's clusters set, and what it means.
struct Situation {
  const char* name;
  Variables variables;
  int rank, world;
  const char *launcher, *origin;  // origin: a part of it
};

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

const Variables kBatch = {{"SLURM_JOB_ID", "4242"},         {"SLURM_JOBID", "4242"}, {"SLURM_PROCID", "0"},
                          {"SLURM_LOCALID", "0"},           {"SLURM_NODEID", "0"},   {"SLURM_NNODES", "1"},
                          {"SLURM_TASKS_PER_NODE", "1"},    {"SLURM_GTIDS", "0"},    {"SLURM_NODELIST", "node017"},
                          {"SLURM_JOB_NODELIST", "node017"}};
const Variables kStep = with(kBatch, {{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_NTASKS", "1"}});
const Variables kInteractive = with(kBatch, {{"SLURM_STEP_ID", "4294967290"},
                                             {"SLURM_STEPID", "4294967290"},
                                             {"SLURM_STEP_NUM_TASKS", "1"},
                                             {"SLURM_STEP_TASKS_PER_NODE", "1"}});
const Variables kTorchrun = {{"RANK", "1"},
                             {"WORLD_SIZE", "2"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "2"},
                             {"MASTER_ADDR", "n"},
                             {"MASTER_PORT", "9"},
                             {"TORCHELASTIC_RUN_ID", "none"}};

const Situation kSituations[] = {
    {"batch script without --ntasks", kBatch, 0, 1, "single", "no task of srun (SLURM_STEP_ID is not set)"},
    {"batch script with --ntasks=1", with(kBatch, {{"SLURM_NTASKS", "1"}}), 0, 1, "single", "no task of srun"},
    {"batch script with --ntasks=8", with(kBatch, {{"SLURM_NTASKS", "8"}, {"SLURM_NPROCS", "8"}}), 0, 1, "single",
     "no task of srun"},
    {"batch step by its number", with(kBatch, {{"SLURM_STEP_ID", "4294967291"}}), 0, 1, "single", "batch script"},
    {"interactive step", kInteractive, 0, 1, "single", "4294967290, an interactive step"},
    {"interactive step of 4 tasks", with(kInteractive, {{"SLURM_NTASKS", "4"}}), 0, 1, "single", "an interactive step"},
    {"salloc's shell on the login node", {{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}}, 0, 1, "single", "SLURM job 7"},
    {"task of an array job",
     with(kBatch, {{"SLURM_ARRAY_JOB_ID", "4200"}, {"SLURM_ARRAY_TASK_ID", "3"}, {"SLURM_ARRAY_TASK_COUNT", "9"}}), 0,
     1, "single", "SLURM job 4242"},
    {"srun -n 1", kStep, 0, 1, "slurm", "SLURM_PROCID=0 of SLURM_STEP_NUM_TASKS=1"},
    {"srun in a job without --ntasks", with(kBatch, {{"SLURM_STEP_ID", "2"}}), 0, 1, "slurm", "1, by SLURM_PROCID=0"},
    {"srun -n 2 in a job of 8",
     with(kStep, {{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_NTASKS", "8"}}), 1, 2, "slurm",
     "2, by SLURM_PROCID=1 of SLURM_STEP_NUM_TASKS=2 (slurm)"},
    {"torchrun in a batch script", with(kBatch, kTorchrun), 1, 2, "torchrun", "RANK=1 of WORLD_SIZE=2"},
    {"torchrun in srun tasks of more", with(with(kStep, {{"SLURM_STEP_NUM_TASKS", "4"}}), kTorchrun), 1, 2, "torchrun",
     "RANK=1 of WORLD_SIZE=2"},
    {"RANK and WORLD_SIZE from srun's",
     with(with(kStep, {{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}}), {{"RANK", "1"}, {"WORLD_SIZE", "2"}}), 1,
     2, "torchrun", "RANK=1"},
    {"WORLD_SIZE from srun's", with(kStep, {{"SLURM_STEP_NUM_TASKS", "2"}, {"WORLD_SIZE", "2"}}), 0, 2, "slurm",
     "SLURM_PROCID=0"},
    {"another launcher below one srun task a machine",
     with(with(kStep, {{"SLURM_STEP_NUM_TASKS", "2"}}), {{"RANK", "9"}, {"WORLD_SIZE", "16"}, {"MASTER_ADDR", "n"}}), 9,
     16, "torchrun", "RANK=9"},
    {"pod of one",
     {{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"MASTER_ADDR", "pod-0"}, {"MASTER_PORT", "23456"}},
     0,
     1,
     "torchrun",
     "1, by RANK=0 of WORLD_SIZE=1"},
    {"pod with WORLD_SIZE only",
     {{"WORLD_SIZE", "1"}},
     0,
     1,
     "single",
     "1, by no launcher (variables left over: WORLD"},
    {"left over RANK", {{"RANK", "0"}}, 0, 1, "single", "1, by no launcher (variables left over: RANK=0)"},
    {"left over RANK and LOCAL_RANK in a batch script", with(kBatch, {{"RANK", "0"}, {"LOCAL_RANK", "0"}}), 0, 1,
     "single", "SLURM_STEP_ID is not set) (variables left over: RANK=0, LOCAL_RANK=0)"},
    {"left over LOCAL_RANK and MASTER_PORT",
     {{"LOCAL_RANK", "3"}, {"MASTER_PORT", "x"}},
     0,
     1,
     "single",
     "variables left over: LOCAL_RANK=3"},
    {"left over MASTER_PORT", {{"MASTER_PORT", "x"}}, 0, 1, "single", ""},
    {"SLURM_PROCID without a job's number",
     {{"SLURM_PROCID", "0"}},
     0,
     1,
     "single",
     "1: SLURM_PROCID=0, but no task of srun"},
    {"a job's number under its older name",
     {{"SLURM_JOBID", "9"}, {"SLURM_PROCID", "0"}},
     0,
     1,
     "single",
     "1: SLURM job 9, but no task of srun"},
    {"empty variables", {{"RANK", ""}, {"WORLD_SIZE", ""}, {"SLURM_PROCID", ""}}, 0, 1, "single", ""},
    {"mpirun in a SLURM job", with(kBatch, {{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}}), 1, 2, "mpi",
     "OMPI_COMM_WORLD_RANK=1"},
    {"Intel MPI",
     {{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "2"}},
     1,
     2,
     "mpi",
     "PMI_RANK=1 of PMI_SIZE=2"},
    {"srun --mpi=pmi2", with(kStep, {{"SLURM_STEP_NUM_TASKS", "2"}, {"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}), 0, 2,
     "slurm", "SLURM_PROCID=0"},
    {"PBS", {{"PBS_JOBID", "1.head"}, {"PBS_NODENUM", "0"}, {"PBS_TASKNUM", "1"}, {"NCPUS", "8"}}, 0, 1, "single", ""},
    {"LSF",
     {{"LSB_JOBID", "1"}, {"LSB_DJOB_NUMPROC", "8"}, {"LSB_HOSTS", "a a"}, {"LS_JOBPID", "3"}},
     0,
     1,
     "single",
     ""},
};

TEST(Environment, ClustersAsTheyAre) {
  for (const Situation& situation : kSituations) {
    SCOPED_TRACE(situation.name);
    const Environment e = detect(situation.variables);
    EXPECT_EQ(e.rank, situation.rank);
    EXPECT_EQ(e.world, situation.world);
    EXPECT_EQ(e.launcher, situation.launcher);
    EXPECT_THAT(e.origin, HasSubstr(situation.origin));
    EXPECT_EQ(e.origin.empty(), *situation.origin == 0);
  }
}

TEST(Environment, AShellOfSrunPtyIsOneProcess) {
  const Variables shell = with(kStep, {{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PTY_PORT", "40123"}});
  const auto detect_at = [](const Variables& variables, bool terminal) {
    return Environment::detect(
        [&](const char* name) -> const char* {
          const auto found = variables.find(name);
          return found == variables.end() ? nullptr : found->second.c_str();
        },
        [terminal] { return terminal; });
  };
  const Environment in_shell = detect_at(shell, true);
  EXPECT_EQ(in_shell.world, 1);
  EXPECT_EQ(in_shell.launcher, "single");
  EXPECT_THAT(in_shell.origin, HasSubstr("SLURM job 4242, but no task of srun (SLURM_PTY_PORT is set"));
  // A step that the shell's user starts by srun: it inherits the variable, its tasks have no terminal.
  const Environment task = detect_at(with(shell, {{"SLURM_STEP_ID", "1"}, {"SLURM_PROCID", "3"}}), false);
  EXPECT_EQ(task.world, 4);
  EXPECT_EQ(task.rank, 3);
  EXPECT_EQ(detect_at(with(shell, kTorchrun), true).world, 2);
}

TEST(Environment, OnlyContradictionsAreRefused) {
  EXPECT_THAT(
      error_of(with(kStep, {{"SLURM_PROCID", "2"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"RANK", "0"}, {"WORLD_SIZE", "1"}})),
      AllOf(HasSubstr("RANK=0 of WORLD_SIZE=1 contradicts SLURM_PROCID=2 of SLURM_STEP_NUM_TASKS=4"),
            HasSubstr("unset")));
  EXPECT_THAT(error_of(with(kStep, {{"SLURM_STEP_NUM_TASKS", "4"}, {"WORLD_SIZE", "8"}})),
              HasSubstr("WORLD_SIZE=8 contradicts SLURM_PROCID=0 of SLURM_STEP_NUM_TASKS=4"));
  EXPECT_THAT(error_of(with(kStep, {{"SLURM_PROCID", "1"}})),
              HasSubstr("SLURM_PROCID=1 contradicts SLURM_STEP_NUM_TASKS=1"));
  EXPECT_THAT(error_of(with(kBatch, {{"SLURM_PROCID", "1"}})), HasSubstr("SLURM_PROCID=1 contradicts SLURM_STEP_ID"));
  EXPECT_THAT(error_of(with(kStep, {{"SLURM_STEP_ID", "first"}})), HasSubstr("SLURM_STEP_ID=\"first\""));
}

}  // namespace
}  // namespace gigacat::dist
