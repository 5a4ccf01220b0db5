#include "gigacat/dist/environment.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "dist/children.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/host.h"

namespace gigacat::dist {
namespace {

// Also where input and output lead elsewhere, and in the background.
bool has_controlling_terminal() {
  const int terminal = ::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (terminal >= 0) ::close(terminal);
  return terminal >= 0;
}

// Variables of the environment as checked numbers and texts.
class VariableReader {
 public:
  VariableReader(const std::function<const char*(const char*)>& get, const std::function<bool()>& has_terminal)
      : get_(get), has_terminal_(has_terminal) {
    if (!get_) get_ = [](const char* name) -> const char* { return std::getenv(name); };
    if (!has_terminal_) has_terminal_ = has_controlling_terminal;
  }

  bool has_terminal() const { return has_terminal_(); }
  std::string text(const char* name) const {
    const char* value = get_(name);
    return value ? value : "";
  }
  bool has(const char* name) const { return !text(name).empty(); }
  // The first of these that is set; else the last.
  const char* first_of(std::initializer_list<const char*> names) const {
    const auto found = std::find_if(names.begin(), names.end(), [this](const char* name) { return has(name); });
    return found == names.end() ? *(names.end() - 1) : *found;
  }

  int64_t number(const char* name, int64_t low = 0, int64_t high = INT_MAX) const {
    const std::string value = text(name);
    int64_t result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (value.empty() || error != std::errc() || end != value.data() + value.size())
      fail<UsageError>("environment: ", name, "=\"", value, "\" is not a whole number");
    if (result < low || result > high)
      fail<UsageError>("environment: ", name, "=", value, " is outside ", low, "..", high);
    return result;
  }
  int number_or(const char* name, int otherwise, int low, int high) const {
    return has(name) ? static_cast<int>(number(name, low, high)) : otherwise;
  }

 private:
  std::function<const char*(const char*)> get_;
  std::function<bool()> has_terminal_;
};

// What one launcher's variables say. world 0: nothing.
struct Claim {
  const char *launcher, *rank_name, *world_name;
  int rank = 0, world = 0;

  std::string text() const { return cat(rank_name, "=", rank, " of ", world_name, "=", world); }
};

[[noreturn]] void refuse(const std::string& one, const std::string& other) {
  fail<UsageError>("environment: ", one, " contradicts ", other, ": unset the variables that are left over");
}

// Reads a pair of variables. One without the other is left over when it says no more than "one process" or what
// `other` says too.
Claim read_claim(const VariableReader& in, const char* launcher, const char* rank, const char* world,
                 const Claim* other = nullptr) {
  Claim claim{launcher, rank, world};
  if (in.has(rank) && in.has(world)) {
    claim.world = static_cast<int>(in.number(world, 1));
    claim.rank = static_cast<int>(in.number(rank));
    if (claim.rank >= claim.world)
      fail<UsageError>("environment: ", rank, "=", claim.rank, " is not below ", world, "=", claim.world);
    return claim;
  }
  if (!in.has(rank) && !in.has(world)) return claim;
  const bool rank_only = in.has(rank);
  const char *set = rank_only ? rank : world, *missing = rank_only ? world : rank;
  const int64_t value = in.number(set);
  if (other != nullptr && other->world > 1) {
    if (value != (rank_only ? other->rank : other->world)) refuse(cat(set, "=", value), other->text());
  } else if (value != (rank_only ? 0 : 1)) {
    fail<UsageError>("environment: ", set, " is set but ", missing, " is not (", set, "=", value, "): unset ", set,
                     " where it is left over, else start by ",
                     std::string_view(launcher) == "mpi" ? "mpirun" : "torchrun", ", which sets both, or with --ranks");
  }
  return claim;
}

// SLURM gives a batch script and an interactive step most variables of a task, but no number of a step or one of these.
constexpr int64_t kFirstSpecialStep = 0xfffffff0;

// A shell of srun --pty: of its tasks the first alone has a terminal. Steps that are started from it inherit the
// variable, and have none.
bool is_pty_shell(const VariableReader& in) { return in.has("SLURM_PTY_PORT") && in.has_terminal(); }

bool is_srun_task(const VariableReader& in) {
  const char* step = in.first_of({"SLURM_STEP_ID", "SLURM_STEPID"});
  return in.has("SLURM_PROCID") && in.has(step) && in.number(step, 0, UINT32_MAX) < kFirstSpecialStep &&
         !is_pty_shell(in);
}

Claim slurm_claim(const VariableReader& in) {
  Claim claim{"slurm", "SLURM_PROCID",
              in.first_of({"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_STEP_NUM_TASKS"})};
  if (is_srun_task(in)) {
    claim.world = in.number_or(claim.world_name, 1, 1, INT_MAX);
    claim.rank = static_cast<int>(in.number("SLURM_PROCID"));
    if (claim.rank >= claim.world) refuse(cat("SLURM_PROCID=", claim.rank), cat(claim.world_name, "=", claim.world));
  } else if (in.has("SLURM_PROCID") && in.number("SLURM_PROCID") > 0) {
    refuse(cat("SLURM_PROCID=", in.text("SLURM_PROCID")), is_pty_shell(in)
                                                              ? "SLURM_PTY_PORT, which is of the first task's shell"
                                                              : "SLURM_STEP_ID, which names no step of srun");
  }
  return claim;
}

// MPI or SLURM: the one that tells of the most processes. One may have started the other's launcher on each machine.
Claim launched_claim(const VariableReader& in) {
  Claim best = slurm_claim(in);
  for (const Claim& claim : {read_claim(in, "mpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
                             read_claim(in, "mpi", "PMI_RANK", "PMI_SIZE")})
    if (claim.world > best.world) best = claim;
  return best;
}

void read_local(const VariableReader& in, Environment& out, const char* rank, const char* world) {
  out.local_rank = in.number_or(rank, out.local_rank, 0, INT_MAX);
  out.local_world = in.number_or(world, std::max(out.local_world, out.local_rank + 1), 1, INT_MAX);
  if (out.local_rank >= out.local_world)
    fail<UsageError>("environment: ", rank, "=", out.local_rank, " is not below ", world, "=", out.local_world);
  if (out.local_world > out.world)
    fail<UsageError>("environment: ", world, "=", out.local_world, " is more than the ", out.world,
                     " processes in all");
}

void read_master(const VariableReader& in, Environment& out) {
  if (in.has("MASTER_ADDR")) out.master_address = in.text("MASTER_ADDR");
  out.master_port = in.number_or("MASTER_PORT", out.master_port, 1, 65535);
  if (out.local_world < out.world && out.launcher != "slurm" && !in.has("MASTER_ADDR"))
    fail<UsageError>("environment: ", out.world, " processes on several machines (", out.local_world,
                     " on this one) need MASTER_ADDR, the address of rank 0's machine");
}

void place_torchrun(const VariableReader& in, Environment& out) {
  // Launchers that give no local rank start one process per machine, unless all of them share this machine.
  const std::string master = in.text("MASTER_ADDR");
  const bool here = master.empty() || master == "127.0.0.1" || master == "localhost";
  out.local_rank = here ? out.rank : 0;
  out.local_world = here ? out.world : 1;
  read_local(in, out, "LOCAL_RANK", "LOCAL_WORLD_SIZE");
}

void place_mpi(const VariableReader& in, Environment& out) {
  out.local_rank = out.rank;
  out.local_world = out.world;
  const bool open_mpi = in.has("OMPI_COMM_WORLD_RANK");
  read_local(in, out, open_mpi ? "OMPI_COMM_WORLD_LOCAL_RANK" : "MPI_LOCALRANKID",
             open_mpi ? "OMPI_COMM_WORLD_LOCAL_SIZE" : "MPI_LOCALNRANKS");
}

// Processes on the first machine: "4(x2),3" -> 4. A job's own figures stay set in a step that has fewer tasks, so that
// they are a hint, not a contradiction.
int slurm_local_world(const VariableReader& in, const Environment& out) {
  const std::string text =
      in.text(in.first_of({"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE"}));
  int count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return std::clamp(count, out.local_rank + 1, out.world);
}

void place_slurm(const VariableReader& in, Environment& out) {
  out.local_rank = in.number_or("SLURM_LOCALID", 0, 0, out.world - 1);
  out.local_world = slurm_local_world(in, out);
  const int64_t job = in.has("SLURM_JOB_ID") ? in.number("SLURM_JOB_ID", 0, UINT32_MAX) : 0;
  out.master_port = static_cast<int>(15000 + (job + in.number(in.first_of({"SLURM_STEP_ID", "SLURM_STEPID"}))) % 15000);
  if (out.local_world == out.world || in.has("MASTER_ADDR")) return;  // one machine: loopback
  const char* list = in.first_of({"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"});
  if (!in.has(list)) fail<UsageError>("environment: SLURM_PROCID is set but ", list, " is not");
  out.master_address = first_host(in.text(list));
}

// The process above this one that torchrun has not set variables for: its agent. Scripts may stand between.
std::string agent_above() {
  pid_t process = ::getppid();
  const auto file = [&](const char* name) { return fs::path("/proc") / std::to_string(process) / name; };
  const auto parent_and_start = [&] {
    std::ifstream stat(file("stat"));
    stat.ignore(std::numeric_limits<std::streamsize>::max(), ')');  // the program's name may hold spaces
    std::vector<std::string> fields{std::istream_iterator<std::string>(stat), {}};
    fields.resize(20);  // from the third on; a process that has just ended has none
    return std::pair(std::atoi(fields[1].c_str()), fields[19]);
  };
  const auto is_worker = [&] {
    std::ifstream stream(file("environ"));
    for (std::string entry; std::getline(stream, entry, '\0');)
      if (entry.starts_with("TORCHELASTIC_RUN_ID=")) return true;
    return false;
  };
  while (process > 1 && is_worker()) process = parent_and_start().first;
  return cat(host_name(), "/", process, "/", parent_and_start().second);
}

// Which launcher's variables are used; `out` gets rank and world.
Claim choose_claim(const VariableReader& in, Environment& out) {
  const bool own = in.has(kLauncherVariable), torchrun = own || in.has("TORCHELASTIC_RUN_ID");
  const Claim launched = torchrun ? Claim{} : launched_claim(in);
  Claim used = read_claim(in, own ? "gigacat" : "torchrun", "RANK", "WORLD_SIZE", &launched);
  const bool fits = used.world > launched.world || (used.world == launched.world && used.rank == launched.rank);
  if (used.world > 0 && launched.world > 0 && !fits) refuse(used.text(), launched.text());
  if (used.world == 0) used = launched;
  out.rank = used.rank;
  out.world = std::max(used.world, 1);
  if (used.world > 0) out.launcher = used.launcher;
  return used;
}

// Those of torchrun that are set though no launcher is at work: "RANK=0, LOCAL_RANK=0".
std::string left_over_variables(const VariableReader& in) {
  std::string list;
  for (const char* name : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"})
    if (in.has(name)) list += cat(list.empty() ? "" : ", ", name, "=", in.text(name));
  return list;
}

std::string slurm_origin(const VariableReader& in) {
  const char *job = in.first_of({"SLURM_JOB_ID", "SLURM_JOBID"}),
             *step = in.first_of({"SLURM_STEP_ID", "SLURM_STEPID"});
  if (!in.has(job) && !in.has("SLURM_PROCID")) return "";
  const std::string place =
      in.has(job) ? cat("SLURM job ", in.text(job)) : cat("SLURM_PROCID=", in.text("SLURM_PROCID"));
  const std::string why = is_pty_shell(in) ? "SLURM_PTY_PORT is set: a shell of srun --pty"
                          : in.has(step)   ? cat(step, " is ", in.text(step), ", an interactive step or batch script")
                                           : "SLURM_STEP_ID is not set";
  return cat("1: ", place, ", but no task of srun (", why, ")");
}

std::string origin_of(const VariableReader& in, const Environment& env, const Claim& used) {
  if (env.launcher == "gigacat") return "";
  if (used.world > 0) return cat(env.world, ", by ", used.text(), " (", env.launcher, ")");
  const std::string slurm = slurm_origin(in), left_over = left_over_variables(in);
  if (left_over.empty()) return slurm;
  return cat(slurm.empty() ? "1, by no launcher" : slurm, " (variables left over: ", left_over, ")");
}

}  // namespace

std::string first_host(std::string_view node_list) {
  std::string host;
  for (size_t i = 0; i < node_list.size() && node_list[i] != ','; ++i) {
    if (node_list[i] != '[') {
      host += node_list[i];
      continue;
    }
    const size_t close = node_list.find(']', i), first = node_list.find_first_of(",-]", i);
    if (close == std::string_view::npos) fail<UsageError>("environment: node list \"", node_list, "\" has no \"]\"");
    host += node_list.substr(i + 1, first - i - 1);
    i = close;
  }
  if (host.empty()) fail<UsageError>("environment: node list \"", node_list, "\" names no host");
  return host;
}

Environment Environment::detect(const std::function<const char*(const char*)>& get,
                                const std::function<bool()>& has_terminal) {
  const VariableReader in(get, has_terminal);
  Environment out;
  const Claim used = choose_claim(in, out);
  out.origin = origin_of(in, out, used);
  // torch.distributed.elastic's PContext.close(), and SLURM's KillWait.
  if (in.has("TORCHELASTIC_RUN_ID") || in.has("SLURM_JOB_ID")) out.seconds_to_stop = 30;
  out.seconds_to_stop = in.number_or("GIGACAT_STOP_SECONDS", static_cast<int>(out.seconds_to_stop), 0, 86400);
  if (out.launcher == "gigacat" || out.launcher == "torchrun") {
    out.restart = in.number_or("TORCHELASTIC_RESTART_COUNT", 0, 0, INT_MAX);
    out.agent_store = in.text("TORCHELASTIC_USE_AGENT_STORE") == "True";
    out.run_id = in.text("TORCHELASTIC_RUN_ID");
    if (!get && (out.launcher == "gigacat" || in.has("TORCHELASTIC_RUN_ID"))) out.agent = agent_above();
  }
  if (out.world == 1) return out;
  if (out.launcher == "slurm")
    place_slurm(in, out);
  else if (out.launcher == "mpi")
    place_mpi(in, out);
  else
    place_torchrun(in, out);
  read_master(in, out);
  return out;
}

}  // namespace gigacat::dist
