// How the ranks of a run find each other.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <set>
#include <string>

#include "gigacat/dist/group.h"

namespace gigacat::dist {

struct Rendezvous {
  c10::intrusive_ptr<c10d::Store> store;        // keys of this group only
  c10::intrusive_ptr<c10d::Store> watch_store;  // the same keys over a second connection
  bool hosts_store = false;                     // the store ends with this process
  std::set<std::string> agents;                 // on rank 0: Environment::agent of all ranks
};

// Connects to the store (rank 0 opens it, unless torchrun's agent has) and waits for all ranks. The store may hold keys
// of attempts before a restart, and restart counts differ between torchrun's agents: rank 0 draws a number under which
// its attempt's ranks register, and confirms those that have; a rank that has joined an older attempt joins anew.
// Errors: Error naming the ranks that did not come in time, or that came twice.
Rendezvous join_rendezvous(const Environment& environment, const GroupOptions& options);

}  // namespace gigacat::dist
