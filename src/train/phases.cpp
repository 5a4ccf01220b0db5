#include "train/phases.h"

#include <time.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <limits>

#include "gigacat/core/log.h"

namespace gigacat::train {
namespace {

// Field 22 of /proc/self/stat: when the process began, in clock ticks since the system did.
double began() {
  std::ifstream stat("/proc/self/stat");
  stat.ignore(std::numeric_limits<std::streamsize>::max(), ')');  // the program's name may hold spaces
  std::string field;
  for (int i = 3; i <= 22 && stat >> field; ++i) continue;
  return stat ? std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK)) : 0;
}

}  // namespace

double process_seconds() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) - began();
}

void Phases::run(const std::string& name, const std::function<void()>& work, dist::Group* group) {
  const auto start = std::chrono::steady_clock::now();
  work();
  if (group && group->size() > 1) group->barrier(name.c_str());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  lines_.push_back(cat(name, ": ", human_time(took.count())));
  log::info(lines_.back());
}

void Phases::replay() const {
  for (const std::string& line : lines_) log::debug(line);
}

}  // namespace gigacat::train
