// What `eval` and `data stats` share.
#pragma once

#include <string>
#include <vector>

#include "cli.h"
#include "gigacat/eval/network.h"

namespace gigacat::cli {

struct NetworkFlags {
  std::string protocol = "adm";
  std::vector<std::string> weights;  // FILE or NAME=FILE
  std::string network;               // file of the user's own network
  int64_t network_size = 0;
};

void add_network_flags(CLI::App& command, NetworkFlags& flags);
// How many images may be unreadable.
void add_bad_flag(CLI::App& command, double& fraction);
// Errors: UsageError for an unknown protocol or network.
eval::FeatureNetworks make_networks(const NetworkFlags& flags, at::Device device);

}  // namespace gigacat::cli
