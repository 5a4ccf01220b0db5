#include "gigacat/dist/environment.h"

#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdlib>

#include "dist/child.h"
#include "gigacat/core/error.h"

namespace gigacat::dist {
namespace {

// Variables of the environment as checked numbers and texts.
class Variables {
 public:
  explicit Variables(const std::function<const char*(const char*)>& get) : get_(get) {
    if (!get_) get_ = [](const char* name) -> const char* { return std::getenv(name); };
  }

  std::string text(const char* name) const {
    const char* value = get_(name);
    return value ? value : "";
  }
  bool has(const char* name) const { return !text(name).empty(); }

  int number(const char* name, int low, int high) const {
    const std::string value = text(name);
    int result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (value.empty() || error != std::errc() || end != value.data() + value.size())
      fail<UsageError>("environment: ", name, "=\"", value, "\" is not a whole number");
    if (result < low || result > high)
      fail<UsageError>("environment: ", name, "=", value, " is outside ", low, "..", high);
    return result;
  }
  int number(const char* name, int low, int high, int otherwise) const {
    return has(name) ? number(name, low, high) : otherwise;
  }

  void need(const char* name, const char* because) const {
    if (!has(name)) fail<UsageError>("environment: ", because, " is set but ", name, " is not");
  }

 private:
  std::function<const char*(const char*)> get_;
};

void read_ranks(const Variables& in, Environment& out, const char* rank, const char* world) {
  in.need(rank, world);
  in.need(world, rank);
  out.world = in.number(world, 1, INT_MAX);
  out.rank = in.number(rank, 0, INT_MAX);
  if (out.rank >= out.world)
    fail<UsageError>("environment: ", rank, "=", out.rank, " is not below ", world, "=", out.world);
}

void read_local(const Variables& in, Environment& out, const char* rank, const char* world) {
  out.local_rank = in.number(rank, 0, INT_MAX, out.local_rank);
  out.local_world = in.number(world, 1, INT_MAX, std::max(out.local_world, out.local_rank + 1));
  if (out.local_rank >= out.local_world)
    fail<UsageError>("environment: ", rank, "=", out.local_rank, " is not below ", world, "=", out.local_world);
  if (out.local_world > out.world)
    fail<UsageError>("environment: ", world, "=", out.local_world, " is more than the ", out.world,
                     " processes in all");
}

void read_master(const Variables& in, Environment& out) {
  if (in.has("MASTER_ADDR")) out.master_address = in.text("MASTER_ADDR");
  out.master_port = in.number("MASTER_PORT", 1, 65535, out.master_port);
  if (out.local_world < out.world && out.launcher != "slurm" && !in.has("MASTER_ADDR"))
    fail<UsageError>("environment: ", out.world, " processes on several machines (", out.local_world,
                     " on this one) need MASTER_ADDR, the address of rank 0's machine");
}

void detect_torchrun(const Variables& in, Environment& out) {
  out.launcher = in.has(kLauncherVariable) ? "gigacat" : "torchrun";
  read_ranks(in, out, "RANK", "WORLD_SIZE");
  // Launchers that give no local rank start one process per machine, unless all of them share this machine.
  const bool here =
      !in.has("MASTER_ADDR") || in.text("MASTER_ADDR") == "127.0.0.1" || in.text("MASTER_ADDR") == "localhost";
  out.local_rank = here ? out.rank : 0;
  out.local_world = here ? out.world : 1;
  read_local(in, out, "LOCAL_RANK", "LOCAL_WORLD_SIZE");
  out.restart = in.number("TORCHELASTIC_RESTART_COUNT", 0, INT_MAX, 0);
  out.agent_store = in.text("TORCHELASTIC_USE_AGENT_STORE") == "True";
}

void detect_mpi(const Variables& in, Environment& out) {
  out.launcher = "mpi";
  read_ranks(in, out, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE");
  out.local_rank = out.rank;
  out.local_world = out.world;
  read_local(in, out, "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE");
}

// Processes on the first machine: "4(x2),3" -> 4. A job's own figures stay set in a step that has fewer tasks, so that
// they are a hint, not a contradiction.
int slurm_local_world(const Variables& in, const Environment& out) {
  std::string text;
  for (const char* name : {"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE"})
    if (text.empty()) text = in.text(name);
  int count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return std::clamp(count, out.local_rank + 1, out.world);
}

void detect_slurm(const Variables& in, Environment& out) {
  out.launcher = "slurm";
  read_ranks(in, out, "SLURM_PROCID", "SLURM_NTASKS");
  out.local_rank = in.number("SLURM_LOCALID", 0, out.world - 1, 0);
  out.local_world = slurm_local_world(in, out);
  const int job = in.number("SLURM_JOB_ID", 0, INT_MAX, 0), step = in.number("SLURM_STEP_ID", INT_MIN, INT_MAX, 0);
  out.master_port = 15000 + static_cast<int>((static_cast<unsigned>(job) + static_cast<unsigned>(step)) % 15000u);
  if (out.local_world == out.world || in.has("MASTER_ADDR")) return;  // one machine: loopback
  const char* list = in.has("SLURM_STEP_NODELIST") ? "SLURM_STEP_NODELIST" : "SLURM_JOB_NODELIST";
  in.need(list, "SLURM_PROCID");
  out.master_address = first_host(in.text(list));
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

Environment Environment::detect(const std::function<const char*(const char*)>& get) {
  const Variables in(get);
  Environment out;
  if (in.has("RANK") || in.has("WORLD_SIZE")) {
    detect_torchrun(in, out);
  } else if (in.has("OMPI_COMM_WORLD_RANK") || in.has("OMPI_COMM_WORLD_SIZE")) {
    detect_mpi(in, out);
  } else if (in.has("SLURM_PROCID")) {
    detect_slurm(in, out);
  } else {
    return out;
  }
  read_master(in, out);
  return out;
}

}  // namespace gigacat::dist
