// Finds out which ranks are missing once an exchange has failed.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace gigacat::dist {

// A thread per rank that answers for it: when a rank raises the alarm in the store, every thread that lives writes
// whether its rank is inside an exchange. A rank without an answer has ended or cannot be reached; one that answers
// from outside any exchange is the one that the others wait for. Costs one small request to the store per second, and
// nothing per exchange.
class Watch {
 public:
  // `store`: a connection that nothing else uses. `keeps_store`: the store ends with this process.
  Watch(c10::intrusive_ptr<c10d::Store> store, int rank, int size, bool keeps_store);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // What this rank is doing with the others; "" when it is on its own. Returns what was set before.
  std::string set_doing(std::string what);
  // Raises the alarm. Returns which ranks are missing, as a sentence. Takes some seconds, and never hangs.
  std::string diagnose();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the thread, which may be stuck in a store that no longer answers
  std::thread thread_;
};

// Marks what a rank does as long as it lives.
class Doing {
 public:
  Doing(Watch& watch, std::string what) : watch_(watch), before_(watch_.set_doing(std::move(what))) {}
  ~Doing() { watch_.set_doing(std::move(before_)); }
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  Watch& watch_;
  std::string before_;
};

}  // namespace gigacat::dist
