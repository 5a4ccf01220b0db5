// Several commands of this program side by side, each a process (or, with --ranks, a launcher) of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace gigacat::dist {

// A command to run.
struct Job {
  std::vector<std::string> arguments;  // of this program
  std::filesystem::path log;           // its lines are appended to this file
};

// How a job ended.
struct JobEnd {
  size_t job;
  int code;           // exit code, or 128 + signal
  std::string error;  // its last error line, when code is not 0
  double seconds;
};

// How many at once, in what environment, and what is called when one starts and ends.
struct JobOptions {
  int at_once = 1;
  // Environment of a job in slot 0 .. at_once - 1, which no other job has meanwhile.
  std::function<std::vector<std::pair<std::string, std::string>>(int slot)> variables;
  std::function<void(size_t job)> started;
  std::function<void(const JobEnd&)> ended;
};

// Runs all jobs in their order, at most `at_once` together, each with cores / at_once threads unless OMP_NUM_THREADS is
// set. A job that fails stops no other. SIGINT, SIGTERM and SIGUSR1 are forwarded; then nothing more is started and the
// running ones are waited for. Jobs end when this process does, even by SIGKILL. Returns 0, or 128 + the signal that
// asked it to stop. Errors: Error when a process cannot be started or a log file not be written.
int run_jobs(const std::vector<Job>& jobs, const JobOptions& options);

}  // namespace gigacat::dist
