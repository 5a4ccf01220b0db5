#include "gigacat/dist/launcher.h"

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "dist/child.h"
#include "dist/signal_queue.h"
#include "dist/sockets.h"
#include "gigacat/core/cpus.h"
#include "gigacat/core/error.h"

namespace gigacat::dist {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kStoreVariable = "GIGACAT_STORE_FD";

std::vector<std::string> environment_of(int rank, int port, int restart, const LaunchOptions& options) {
  const std::string ranks = std::to_string(options.ranks);
  std::vector<std::pair<std::string, std::string>> variables = {{"RANK", std::to_string(rank)},
                                                                {"LOCAL_RANK", std::to_string(rank)},
                                                                {"WORLD_SIZE", ranks},
                                                                {"LOCAL_WORLD_SIZE", ranks},
                                                                {"MASTER_ADDR", "127.0.0.1"},
                                                                {"MASTER_PORT", std::to_string(port)},
                                                                {"TORCHELASTIC_USE_AGENT_STORE", "False"},
                                                                {"TORCHELASTIC_RESTART_COUNT", std::to_string(restart)},
                                                                {kLauncherVariable, std::to_string(::getpid())}};
  if (rank == 0) variables.emplace_back(kStoreVariable, "3");
  if (options.threads > 0 || std::getenv("OMP_NUM_THREADS") == nullptr) {
    const int threads = options.threads > 0 ? options.threads : std::max(1, usable_cpus() / options.ranks);
    variables.emplace_back("OMP_NUM_THREADS", std::to_string(threads));
  }
  return with_variables(variables);
}

// The children of one launch until the last has ended.
class Launch {
 public:
  Launch(const LaunchOptions& options, int restart, SignalQueue& signals)
      : options_(options), restart_(restart), signals_(signals) {}
  ~Launch() {
    for (const Child& child : children_) child.signal(SIGKILL);
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  void start(const std::vector<std::string>& arguments);
  int run();
  bool asked_to_stop() const { return asked_to_stop_; }

 private:
  void wait_for_events();
  void forward_signals();
  void collect(Child& child);
  void end_others();
  bool any_running() const {
    return std::any_of(children_.begin(), children_.end(), [](const Child& child) { return child.running; });
  }

  const LaunchOptions& options_;
  int restart_;
  SignalQueue& signals_;
  std::vector<Child> children_;
  int result_ = 0;
  bool asked_to_stop_ = false;
  bool one_ended_ = false;  // a child after which the others must end too
  Clock::time_point first_end_{};
  int pushed_ = 0;  // how far the others have been made to: 0, SIGTERM sent, SIGKILL sent
};

void Launch::start(const std::vector<std::string>& arguments) {
  const int socket = listen_at("127.0.0.1", options_.master_port, std::max(128, 4 * options_.ranks));
  std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  children_.reserve(static_cast<size_t>(options_.ranks));
  for (int rank = 0; rank < options_.ranks; ++rank) {
    const std::string prefix = cat("[", rank, "] "), out_prefix = options_.plain_output && rank == 0 ? "" : prefix;
    children_.push_back(start_child({rank, STDOUT_FILENO, STDERR_FILENO, out_prefix, prefix}, command,
                                    environment_of(rank, port_of(socket), restart_, options_),
                                    rank == 0 ? socket : -1));
  }
  ::close(socket);
}

int Launch::run() {
  while (any_running()) {
    wait_for_events();
    forward_signals();
    for (Child& child : children_) {
      child.out.pump();
      child.error.pump();
    }
    for (Child& child : children_)
      if (child.has_ended()) collect(child);
    end_others();
  }
  return result_;
}

void Launch::wait_for_events() {
  std::vector<pollfd> watched{{signals_.descriptor(), POLLIN, 0}};
  for (const Child& child : children_)
    for (const LineStream* stream : {&child.out, &child.error})
      if (stream->open()) watched.push_back({stream->source(), POLLIN, 0});
  ::poll(watched.data(), watched.size(), 200);  // the deadlines need no better clock
}

void Launch::forward_signals() {
  while (const std::optional<int> number = signals_.next()) {
    if (*number == SIGCHLD) continue;
    asked_to_stop_ = true;
    for (const Child& child : children_) child.signal(*number);
  }
}

void Launch::collect(Child& child) {
  child.out.pump();
  child.error.pump();
  if (result_ == 0) result_ = child.code;
  if ((child.code == 0 && !asked_to_stop_) || one_ended_) return;
  one_ended_ = true;
  first_end_ = Clock::now();
  if (asked_to_stop_) return;
  const std::string& reason = child.error.reason();
  const std::string how = child.code > 128 ? cat("killed by signal ", child.code - 128) : cat("exit code ", child.code);
  std::fprintf(stderr, "rank %d failed (%s)%s%s\n", child.rank, how.c_str(), reason.empty() ? "" : ": ",
               reason.c_str());
}

void Launch::end_others() {
  if (!one_ended_) return;
  const double passed = std::chrono::duration<double>(Clock::now() - first_end_).count();
  // Children that were asked to stop are writing their last checkpoint: they have the time of grace before they are
  // pushed.
  const double terminate_at = asked_to_stop_ ? options_.grace_seconds : 0;
  const int wanted = passed < terminate_at ? 0 : passed < terminate_at + options_.grace_seconds ? 1 : 2;
  if (wanted <= pushed_) return;
  pushed_ = wanted;
  for (const Child& child : children_) child.signal(wanted == 1 ? SIGTERM : SIGKILL);
}

// Of a failure that would come again: a usage error, an internal check.
bool is_final(int code) { return code == 2 || code == 3; }

}  // namespace

int launch_local(const std::vector<std::string>& arguments, LaunchOptions options) {
  if (options.ranks < 1 || options.ranks > 1024) fail<UsageError>("ranks=", options.ranks, ": expected 1 to 1024");
  SignalQueue signals;  // outlives each launch: one that comes between two is not lost
  for (int restart = 0;; ++restart) {
    Launch launch(options, restart, signals);
    launch.start(arguments);
    const int code = launch.run();
    if (code == 0 || launch.asked_to_stop() || is_final(code) || restart == options.max_restarts) return code;
    if (options.ranks_after) options.ranks = options.ranks_after(options.ranks);
    std::fprintf(stderr, "restart %d of %d, ranks: %d\n", restart + 1, options.max_restarts, options.ranks);
  }
}

void end_with_launcher() {
  const char* launcher = std::getenv(kLauncherVariable);
  if (launcher == nullptr || std::to_string(::getppid()) != launcher) return;
  if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) return;            // a kernel without it: the run goes on alone
  if (std::to_string(::getppid()) != launcher) ::raise(SIGTERM);  // it ended just before
}

}  // namespace gigacat::dist
