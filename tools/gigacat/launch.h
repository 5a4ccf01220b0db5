// Local ranks of a command.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/dist/environment.h"
#include "gigacat/dist/group.h"

namespace gigacat::cli {

// The words of this process's command line after the program.
std::vector<std::string> own_arguments();

// True when this process only starts `ranks` children: several, or one that may be restarted. Errors: UsageError when a
// launcher has already started another number, more than one, of them.
bool is_parent(int ranks, const dist::Environment& environment, int max_restarts = 0);

// Runs `work` on `ranks` processes of this command line, or as the rank that a launcher has made of this one. The first
// rank's standard output is the command's own. Returns the exit code.
int on_ranks(int ranks, const std::function<int(dist::Group&)>& work);

// Starts `ranks` processes of this command line, and again after a failure as launch_local says. Returns their exit
// code.
int launch(int ranks, int max_restarts = 0, std::function<int(int)> ranks_after = {});

}  // namespace gigacat::cli
