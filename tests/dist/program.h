// Runs other programs for tests: started by exec, watched, and ended when they take too long.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace gigacat::test {

struct Result {
  int code = 0;      // exit code, 128 + signal, or -1 when it was ended for being too slow
  std::string text;  // standard output and error together
  double seconds = 0;
};

// A running program. Its output is collected.
class Program {
 public:
  // `command`: path and arguments. `variables` are set beside this process' own, or unset when empty.
  explicit Program(const std::vector<std::string>& command, const std::map<std::string, std::string>& variables = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void signal(int number) const;
  // Waits until `text` has been printed; false when it has not within `seconds`.
  bool wait_for(const std::string& text, double seconds);
  Result finish(double seconds = 40);

 private:
  bool read_some(std::chrono::steady_clock::time_point deadline);

  pid_t process_ = -1;
  int output_ = -1;
  std::string text_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

// The program dist_worker with these arguments, and `ranks` of it under launch_local.
std::vector<std::string> worker(const std::vector<std::string>& arguments);
Result run_ranks(int ranks, const std::vector<std::string>& scenario);

// Environment of one rank, as torchrun sets it.
std::map<std::string, std::string> rank_variables(int rank, int world, int port);
// A port that was free a moment ago.
int free_port();

}  // namespace gigacat::test
