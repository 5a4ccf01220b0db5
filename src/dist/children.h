// Processes of this program that one process starts and watches: ranks of a launch, jobs side by side.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dist/signal_queue.h"

namespace gigacat::dist {

// Copies lines that arrive in pieces through a pipe to a descriptor, each with a prefix.
class LineStream {
 public:
  LineStream(int source, int target, std::string prefix);
  ~LineStream();
  LineStream(LineStream&& other) noexcept;
  LineStream& operator=(LineStream&& other) noexcept;

  int source() const { return source_; }
  bool open() const { return source_ >= 0; }
  // Reads what is available and writes whole lines. At the end of the stream the rest counts as a line and the source
  // is closed.
  void pump();
  // The last line with "error:" in it, or else the last that was not empty; without its prefix.
  const std::string& reason() const { return last_error_.empty() ? last_line_ : last_error_; }

 private:
  void take(std::string_view bytes);
  void write_line(std::string_view line);

  int source_, target_;
  std::string prefix_, rest_, last_line_, last_error_;
};

struct Child {
  int number;  // rank, or slot of a job
  pid_t process;
  LineStream out, error;
  int code = 0;         // exit code, or 128 + signal
  bool killed = false;  // by a signal
};

// Names the process that end_with_launcher() of its children watches.
inline constexpr const char* kLauncherVariable = "GIGACAT_LAUNCHER_PID";

using Variables = std::vector<std::pair<std::string, std::string>>;

// How a child starts.
struct ChildSetup {
  int number;                          // rank, or slot of a job
  std::vector<std::string> arguments;  // of this program
  Variables variables;                 // set on top of this process's own
  int threads;                         // OMP_NUM_THREADS, unless the variable is set; 0: leave it
  int out, error;                      // descriptors that its lines are written to
  std::string out_prefix, error_prefix;
  int inherited = -1;  // a descriptor that the child gets as number 3
};

// The children that run. While it lives, SIGINT, SIGTERM and SIGUSR1 of this process are forwarded to them.
class Children {
 public:
  Children() = default;
  // Kills those that still run.
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Starts /proc/self/exe in a process group of its own. Errors: Error with the system's reason.
  void start(const ChildSetup& setup);
  bool any() const { return !running_.empty(); }
  // Waits a fifth of a second at most for output, ends and signals. Returns the children that have ended, all their
  // lines written.
  std::vector<Child> wait();
  // To all children and everything that they have started.
  void signal(int number) const;
  // The last signal that was forwarded, or 0.
  int stop_signal() const { return stop_signal_; }

 private:
  SignalQueue signals_;
  std::vector<Child> running_;
  int stop_signal_ = 0;
};

}  // namespace gigacat::dist
