#include "dist/jobs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "dist/children.h"
#include "gigacat/core/cpus.h"
#include "gigacat/core/error.h"

namespace gigacat::dist {
namespace {

using Clock = std::chrono::steady_clock;

// A job under way, in its slot.
struct Running {
  size_t job;
  int log;
  Clock::time_point began = Clock::now();
};

class Pool {
 public:
  Pool(const std::vector<Job>& jobs, const JobOptions& options)
      : jobs_(jobs), options_(options), slots_(static_cast<size_t>(options.at_once)) {}
  ~Pool() {
    for (const auto& slot : slots_)
      if (slot) ::close(slot->log);
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int run() {
    while (true) {
      for (size_t slot = 0; slot < slots_.size(); ++slot)
        if (!slots_[slot] && children_.stop_signal() == 0 && next_ < jobs_.size()) start(slot);
      if (!children_.any()) return children_.stop_signal() == 0 ? 0 : 128 + children_.stop_signal();
      for (const Child& child : children_.wait()) finish(child);
    }
  }

 private:
  void start(size_t slot) {
    const Job& job = jobs_[next_];
    const int log = ::open(job.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) fail("cannot open ", job.log.string(), ": ", std::strerror(errno));
    slots_[slot] = Running{next_, log};
    const int number = static_cast<int>(slot);
    children_.start({.number = number,
                     .arguments = job.arguments,
                     .variables = options_.variables ? options_.variables(number) : Variables{},
                     .threads = std::max(1, usable_cpus() / options_.at_once),
                     .out = log,
                     .error = log,
                     .out_prefix = "",
                     .error_prefix = ""});
    if (options_.started) options_.started(next_);
    ++next_;
  }

  void finish(const Child& child) {
    std::optional<Running>& slot = slots_[static_cast<size_t>(child.number)];
    ::close(slot->log);
    const double seconds = std::chrono::duration<double>(Clock::now() - slot->began).count();
    const JobEnd end{slot->job, child.code, child.code == 0 ? "" : child.error.reason(), seconds};
    slot.reset();
    if (options_.ended) options_.ended(end);
  }

  const std::vector<Job>& jobs_;
  const JobOptions& options_;
  Children children_;
  std::vector<std::optional<Running>> slots_;
  size_t next_ = 0;
};

}  // namespace

int run_jobs(const std::vector<Job>& jobs, const JobOptions& options) {
  if (options.at_once < 1 || options.at_once > 1024)
    fail<UsageError>("jobs at once: expected 1 to 1024, not ", options.at_once);
  return Pool(jobs, options).run();
}

}  // namespace gigacat::dist
