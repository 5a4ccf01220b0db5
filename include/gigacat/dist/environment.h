// Which process of how many this is, read from the launchers that people use.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace gigacat::dist {

struct Environment {
  int rank = 0, world = 1;
  int local_rank = 0, local_world = 1;
  std::string master_address = "127.0.0.1";
  int master_port = 29500;
  int restart = 0;           // TORCHELASTIC_RESTART_COUNT
  bool agent_store = false;  // TORCHELASTIC_USE_AGENT_STORE: torchrun's agent already listens at the master's port
  std::string launcher = "single";  // "single", "gigacat" (--ranks), "torchrun", "slurm", "mpi"

  // torchrun: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT. Open MPI: OMPI_COMM_WORLD_*,
  // with MASTER_ADDR. SLURM: SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, SLURM_NTASKS_PER_NODE, first host of
  // SLURM_STEP_NODELIST or SLURM_JOB_NODELIST, port from SLURM_JOB_ID. The first of the three that is set counts;
  // MASTER_ADDR and MASTER_PORT always win. `get` stands for getenv in tests.
  // Errors: UsageError for values that are no numbers, out of range or contradictory, naming the variable.
  static Environment detect(const std::function<const char*(const char*)>& get = {});
};

// First host of a SLURM list: "gpu[03-05,9],login1" -> "gpu03". Errors: UsageError for an empty or unbalanced list.
std::string first_host(std::string_view node_list);

}  // namespace gigacat::dist
