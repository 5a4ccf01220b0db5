// How many processors this process may use.
#pragma once

#include <filesystem>

namespace gigacat {

// Processors that the scheduler gives this process, by its affinity and by the CPU quota of its control groups (a
// container's --cpus, a pod's limit), rounded up; 1 or more. Threads beyond that wait for each other.
int usable_cpus();

// The quota alone, of the groups that `proc`/self/cgroup names, in either version below `cgroups`; 0: none.
double cpu_quota(const std::filesystem::path& proc = "/proc", const std::filesystem::path& cgroups = "/sys/fs/cgroup");

}  // namespace gigacat
