// Where the ranks of a run find each other.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "gigacat/dist/group.h"

namespace gigacat::dist {

struct Meeting {
  c10::intrusive_ptr<c10d::Store> store;        // of this group alone
  c10::intrusive_ptr<c10d::Store> watch_store;  // the same keys over a connection of its own
  bool keeps_store = false;                     // the store ends with this process

  // The same ranks over connections of their own, for another group. All ranks must call it in the same order.
  Meeting again(const std::string& name, int rank) const;
};

// Connects to the store (rank 0 makes it, unless torchrun's agent has) and waits for all ranks.
// Errors: Error naming the ranks that did not come in time, or that came twice.
Meeting meet(const Environment& environment, const GroupOptions& options);

}  // namespace gigacat::dist
