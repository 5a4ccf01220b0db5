// A process that the launcher has started, and its two output streams.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gigacat::dist {

// Lines that come in pieces through a pipe, written on with a prefix.
class LineStream {
 public:
  LineStream(int source, int target, std::string prefix);
  ~LineStream();
  LineStream(LineStream&& other) noexcept;
  LineStream(const LineStream&) = delete;
  LineStream& operator=(const LineStream&) = delete;

  int source() const { return source_; }
  bool open() const { return source_ >= 0; }
  // Reads what is there and writes whole lines. At the end of the stream the rest counts as a line and the source is
  // closed.
  void pump();
  // The last line with "error:" in it, or else the last that was not empty; without its prefix.
  const std::string& reason() const { return last_error_.empty() ? last_line_ : last_error_; }

 private:
  void take(std::string_view bytes);
  void write_line(std::string_view line);
  void close_source();

  int source_, target_;
  std::string prefix_, rest_, last_line_, last_error_;
};

struct Child {
  int rank;
  pid_t process;
  LineStream out, error;
  bool running = true;
  int code = 0;  // exit code, or 128 + signal

  // To the child and everything it has started.
  void signal(int number) const;
  // True when it has ended since the last call; sets code.
  bool has_ended();
};

// Names the process that end_with_launcher() of its children watches.
inline constexpr const char* kLauncherVariable = "GIGACAT_LAUNCHER_PID";

// This process' environment with some variables set anew.
std::vector<std::string> with_variables(const std::vector<std::pair<std::string, std::string>>& variables);

// Where a child's lines go.
struct ChildStreams {
  int rank;        // or number of the job
  int out, error;  // descriptors
  std::string out_prefix, error_prefix;
};

// Starts /proc/self/exe with these arguments and this environment in a process group of its own. `inherited`: a
// descriptor that the child gets as number 3, or -1. Errors: Error with the system's reason.
Child start_child(const ChildStreams& streams, const std::vector<std::string>& arguments,
                  const std::vector<std::string>& environment, int inherited);

}  // namespace gigacat::dist
