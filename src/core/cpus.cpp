#include "gigacat/core/cpus.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "gigacat/core/text.h"

namespace gigacat {
namespace {

namespace fs = std::filesystem;

double smaller(double a, double b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

// cpu.max of version 2, "QUOTA PERIOD" or "max PERIOD"; two files of version 1, with -1 for none.
double quota_of(const fs::path& group) {
  double quota = 0, period = 0;
  if (std::ifstream(group / "cpu.max") >> quota >> period && quota > 0 && period > 0) return quota / period;
  const bool both =
      std::ifstream(group / "cpu.cfs_quota_us") >> quota && std::ifstream(group / "cpu.cfs_period_us") >> period;
  return both && quota > 0 && period > 0 ? quota / period : 0;
}

// The smallest quota from `group` up to `root`: inside a container the path is that of outside and `root` is the group.
double quota_up_to(const fs::path& root, fs::path group) {
  double quota = quota_of(root);
  for (; group.has_relative_path(); group = group.parent_path())
    quota = smaller(quota, quota_of(root / group.relative_path()));
  return quota;
}

}  // namespace

double cpu_quota(const fs::path& proc, const fs::path& cgroups) {
  double quota = 0;
  std::ifstream lines(proc / "self/cgroup");
  for (std::string line; std::getline(lines, line);) {  // NUMBER:CONTROLLERS:PATH, without controllers in version 2
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    const std::vector<std::string> names = split(controllers, ',');
    if (names.empty()) quota = smaller(quota, quota_up_to(cgroups, path));
    if (std::ranges::find(names, "cpu") == names.end()) continue;
    for (const std::string& folder : {std::string("cpu"), controllers})
      quota = smaller(quota, quota_up_to(cgroups / folder, path));
  }
  return quota;
}

int usable_cpus() {
  cpu_set_t set;
  const int cpus = ::sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
  const double quota = cpu_quota();
  return std::max(1, quota == 0 ? cpus : std::min(cpus, static_cast<int>(std::ceil(quota))));
}

}  // namespace gigacat
