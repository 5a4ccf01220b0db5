#include "gigacat/dist/jobs.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "dist/child.h"
#include "dist/signal_queue.h"
#include "gigacat/core/cpus.h"
#include "gigacat/core/error.h"

namespace gigacat::dist {
namespace {

using Clock = std::chrono::steady_clock;

// A job under way, in its slot.
struct Running {
  size_t job;
  int log;
  Child child;
  Clock::time_point began = Clock::now();
};

class Pool {
 public:
  Pool(const std::vector<Job>& jobs, const JobOptions& options)
      : jobs_(jobs), options_(options), slots_(static_cast<size_t>(options.at_once)) {}
  ~Pool() {
    for (const auto& slot : slots_)
      if (slot) {
        slot->child.signal(SIGKILL);
        ::close(slot->log);
      }
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int run() {
    while (true) {
      for (size_t slot = 0; slot < slots_.size(); ++slot)
        if (!slots_[slot] && stop_ == 0 && next_ < jobs_.size()) start(slot);
      if (std::none_of(slots_.begin(), slots_.end(), [](const auto& slot) { return slot != nullptr; })) return stop_;
      wait();
      for (auto& slot : slots_)
        if (slot) collect(slot);
    }
  }

 private:
  void start(size_t slot) {
    const Job& job = jobs_[next_];
    const int log = ::open(job.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) fail("cannot open ", job.log.string(), ": ", std::strerror(errno));
    std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string()};
    command.insert(command.end(), job.arguments.begin(), job.arguments.end());
    std::vector<std::pair<std::string, std::string>> variables;
    if (options_.variables) variables = options_.variables(static_cast<int>(slot));
    variables.emplace_back(kLauncherVariable, std::to_string(::getpid()));
    if (std::getenv("OMP_NUM_THREADS") == nullptr)
      variables.emplace_back("OMP_NUM_THREADS", std::to_string(std::max(1, usable_cpus() / options_.at_once)));
    slots_[slot] = std::make_unique<Running>(Running{
        next_, log, start_child({static_cast<int>(next_), log, log, "", ""}, command, with_variables(variables), -1)});
    if (options_.started) options_.started(next_);
    ++next_;
  }

  void wait() {
    std::vector<pollfd> watched{{signals_.descriptor(), POLLIN, 0}};
    for (const auto& slot : slots_) {
      if (!slot) continue;
      for (const LineStream* stream : {&slot->child.out, &slot->child.error})
        if (stream->open()) watched.push_back({stream->source(), POLLIN, 0});
    }
    ::poll(watched.data(), watched.size(), 500);
    while (const std::optional<int> number = signals_.next()) {
      if (*number == SIGCHLD) continue;
      stop_ = 128 + *number;
      for (const auto& slot : slots_)
        if (slot) slot->child.signal(*number);
    }
  }

  void collect(std::unique_ptr<Running>& slot) {
    slot->child.out.pump();
    slot->child.error.pump();
    if (!slot->child.has_ended()) return;
    slot->child.out.pump();
    slot->child.error.pump();
    ::close(slot->log);
    const double seconds = std::chrono::duration<double>(Clock::now() - slot->began).count();
    const int code = slot->child.code;
    const JobEnd end{slot->job, code, code == 0 ? "" : slot->child.error.reason(), seconds};
    slot.reset();
    if (options_.ended) options_.ended(end);
  }

  const std::vector<Job>& jobs_;
  const JobOptions& options_;
  SignalQueue signals_;
  std::vector<std::unique_ptr<Running>> slots_;
  size_t next_ = 0;
  int stop_ = 0;
};

}  // namespace

int run_jobs(const std::vector<Job>& jobs, const JobOptions& options) {
  if (options.at_once < 1 || options.at_once > 1024)
    fail<UsageError>("jobs at once: expected 1 to 1024, not ", options.at_once);
  return Pool(jobs, options).run();
}

}  // namespace gigacat::dist
