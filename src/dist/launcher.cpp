#include "gigacat/dist/launcher.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "dist/children.h"
#include "dist/sockets.h"
#include "gigacat/core/cpus.h"
#include "gigacat/core/error.h"

namespace gigacat::dist {
namespace {

using Clock = std::chrono::steady_clock;

// torchrun's, and the store's socket for rank 0.
Variables rank_variables(int rank, int ranks, int port, int restart) {
  Variables variables = {{"RANK", std::to_string(rank)},
                         {"LOCAL_RANK", std::to_string(rank)},
                         {"WORLD_SIZE", std::to_string(ranks)},
                         {"LOCAL_WORLD_SIZE", std::to_string(ranks)},
                         {"MASTER_ADDR", "127.0.0.1"},
                         {"MASTER_PORT", std::to_string(port)},
                         {"TORCHELASTIC_USE_AGENT_STORE", "False"},
                         {"TORCHELASTIC_RESTART_COUNT", std::to_string(restart)}};
  if (rank == 0) variables.emplace_back("GIGACAT_STORE_FD", "3");
  return variables;
}

// The ranks from one start to the end of the last.
class Launch {
 public:
  Launch(const LaunchOptions& options, Children& children) : options_(options), children_(children) {}

  void start(const std::vector<std::string>& arguments, int restart);
  int run();
  // Whether starting again would end the same way: all is done, a stop on request, a usage error, an internal check.
  bool is_final() const { return on_request_ || result_ == 0 || result_ == 2 || result_ == 3; }

 private:
  void collect(const Child& child);
  void end_others();

  const LaunchOptions& options_;
  Children& children_;
  int result_ = 0;
  bool one_ended_ = false;   // a child after which the others must end too
  bool on_request_ = false;  // it ended because it was asked to
  Clock::time_point first_end_{};
  int last_signal_ = 0;  // SIGTERM, then SIGKILL, sent to the others
};

void Launch::start(const std::vector<std::string>& arguments, int restart) {
  const int socket = listen_at("127.0.0.1", options_.master_port, std::max(128, 4 * options_.ranks));
  for (int rank = 0; rank < options_.ranks; ++rank) {
    const std::string prefix = cat("[", rank, "] ");
    children_.start({.number = rank,
                     .arguments = arguments,
                     .variables = rank_variables(rank, options_.ranks, port_of(socket), restart),
                     .threads = std::max(1, usable_cpus() / options_.ranks),
                     .out = STDOUT_FILENO,
                     .error = STDERR_FILENO,
                     .out_prefix = options_.plain_output && rank == 0 ? "" : prefix,
                     .error_prefix = prefix,
                     .inherited = rank == 0 ? socket : -1});
  }
  ::close(socket);
}

int Launch::run() {
  while (children_.any()) {
    for (const Child& child : children_.wait()) collect(child);
    end_others();
  }
  return result_;
}

void Launch::collect(const Child& child) {
  if (result_ == 0) result_ = child.code;
  const bool stopping = children_.stop_signal() != 0;
  if ((child.code == 0 && !stopping) || one_ended_) return;
  one_ended_ = true;
  first_end_ = Clock::now();
  const bool stop_code =
      child.code == kExitInterrupted || child.code == kExitTerminated || child.code == kExitTimeLimit;
  on_request_ = stopping || (stop_code && !child.killed);
  if (on_request_) return;
  const std::string& reason = child.error.reason();
  const std::string how = child.killed ? cat("killed by signal ", child.code - 128) : cat("exit code ", child.code);
  std::fprintf(stderr, "rank %d failed (%s)%s%s\n", child.number, how.c_str(), reason.empty() ? "" : ": ",
               reason.c_str());
}

void Launch::end_others() {
  if (!one_ended_) return;
  const double passed = std::chrono::duration<double>(Clock::now() - first_end_).count();
  // Ranks that stop on request are writing their last checkpoint: they get the time of grace before SIGTERM.
  const double terminate_at = on_request_ ? options_.grace_seconds : 0;
  const int wanted = passed < terminate_at ? 0 : passed < terminate_at + options_.grace_seconds ? SIGTERM : SIGKILL;
  if (wanted == last_signal_) return;
  last_signal_ = wanted;
  children_.signal(wanted);
}

}  // namespace

int launch_local(const std::vector<std::string>& arguments, LaunchOptions options) {
  if (options.ranks < 1 || options.ranks > 1024) fail<UsageError>("ranks=", options.ranks, ": expected 1 to 1024");
  Children children;
  for (int restart = 0;; ++restart) {
    Launch launch(options, children);
    launch.start(arguments, restart);
    const int code = launch.run();
    if (launch.is_final() || restart == options.max_restarts) return code;
    if (options.ranks_after) options.ranks = options.ranks_after(options.ranks);
    std::fprintf(stderr, "restart %d of %d, ranks: %d\n", restart + 1, options.max_restarts, options.ranks);
  }
}

void end_with_launcher() {
  const char* launcher = std::getenv(kLauncherVariable);
  if (launcher == nullptr || std::to_string(::getppid()) != launcher) return;
  if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) return;            // a kernel without it: the run goes on by itself
  if (std::to_string(::getppid()) != launcher) ::raise(SIGTERM);  // it ended just before
}

}  // namespace gigacat::dist
