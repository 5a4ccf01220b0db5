#include "launch.h"

#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/dist/device.h"
#include "gigacat/dist/launcher.h"

namespace gigacat::cli {

std::vector<std::string> own_arguments() {
  const std::string all = read_file("/proc/self/cmdline");
  std::vector<std::string> words;
  for (size_t at = 0; at < all.size(); at = all.find('\0', at) + 1) words.emplace_back(all.c_str() + at);
  words.erase(words.begin());
  return words;
}

bool is_parent(int ranks, const dist::Environment& environment, int max_restarts) {
  if (environment.launcher == "gigacat") return false;  // a restart may take fewer than --ranks says
  if (environment.world == 1 && (ranks > 1 || max_restarts > 0)) {
    if (!environment.origin.empty()) log::info("processes: ", ranks, ", by --ranks; without it ", environment.origin);
    return true;
  }
  if (environment.world > 1 && ranks > 1 && ranks != environment.world)
    fail<UsageError>("--ranks ", ranks, " but ", environment.launcher, " has started ", environment.origin,
                     ": leave --ranks out");
  return false;
}

int on_ranks(int ranks, const std::function<int(dist::Group&)>& work) {
  const dist::Environment environment = dist::Environment::detect();
  if (is_parent(ranks, environment)) return dist::launch_local(own_arguments(), {.ranks = ranks, .plain_output = true});
  return work(*dist::Group::create(environment, dist::choose_device("auto", environment.local_rank)));
}

int launch(int ranks, int max_restarts, std::function<int(int)> ranks_after) {
  dist::LaunchOptions options;
  options.ranks = ranks;
  options.max_restarts = max_restarts;
  options.ranks_after = std::move(ranks_after);
  return dist::launch_local(own_arguments(), options);
}

}  // namespace gigacat::cli
