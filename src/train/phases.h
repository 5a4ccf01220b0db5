// The parts of a start, each a line in the log with the time it took.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"

namespace gigacat::train {

// Seconds since the process began.
double process_seconds();

class Phases {
 public:
  // Runs `work` and logs "NAME: time". With a group of several ranks it then waits for all. Errors: those of `work`;
  // Error naming the ranks that did not finish the phase in time.
  void run(const std::string& name, const std::function<void()>& work, dist::Group* group = nullptr);
  // Writes the lines so far into the run's log.txt, which is opened after the first phases; the terminal has them.
  void replay() const;

 private:
  std::vector<std::string> lines_;
};

}  // namespace gigacat::train
