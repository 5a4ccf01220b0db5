// Which process of how many this is, read from the variables of the launchers that people use.
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
  int restart = 0;           // TORCHELASTIC_RESTART_COUNT: each of torchrun's agents has its own
  bool agent_store = false;  // TORCHELASTIC_USE_AGENT_STORE: torchrun's agent already listens at the master's port
  std::string run_id;        // TORCHELASTIC_RUN_ID
  std::string launcher = "single";  // "single", "gigacat" (--ranks), "torchrun", "slurm", "mpi"
  // The process that starts this rank again after a failure (torchrun's agent, or gigacat with --ranks): host, number
  // and time of start. "" when there is none.
  std::string agent;
  // Between SIGTERM and SIGKILL of what has started this process: 30 for torchrun and in SLURM jobs, or
  // GIGACAT_STOP_SECONDS; 0: no limit.
  double seconds_to_stop = 0;
  // For the log: number of processes, and which variables say so. "" when none is set.
  std::string origin;

  // torchrun and others: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT. Open MPI:
  // OMPI_COMM_WORLD_*; MPICH and Intel MPI: PMI_RANK, PMI_SIZE, MPI_LOCALRANKID, MPI_LOCALNRANKS; both with MASTER_ADDR
  // on several machines. SLURM: SLURM_PROCID, SLURM_STEP_NUM_TASKS (else SLURM_NTASKS), SLURM_LOCALID,
  // SLURM_STEP_TASKS_PER_NODE, first host of SLURM_STEP_NODELIST or SLURM_JOB_NODELIST, port from SLURM_JOB_ID; only
  // for a task that srun has started: a batch script, an interactive step and a shell of srun --pty (SLURM_PTY_PORT and
  // a terminal) have most of these too, and are one process. The first of the three that tells of several processes
  // counts, else one that tells of one. MASTER_ADDR and MASTER_PORT always win. `get` replaces getenv in tests,
  // `has_terminal` the look for /dev/tty. Errors: UsageError for values that are no numbers, out of range or
  // contradictory, naming the variables.
  static Environment detect(const std::function<const char*(const char*)>& get = {},
                            const std::function<bool()>& has_terminal = {});
};

// First host of a SLURM list: "gpu[03-05,9],login1" -> "gpu03". Errors: UsageError for an empty or unbalanced list.
std::string first_host(std::string_view node_list);

}  // namespace gigacat::dist
