// Finds out which ranks are missing once a collective has failed or does not end.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace gigacat::dist {

// A thread on each rank that answers for it: when one rank raises the alarm in the store, every thread that lives
// writes whether its rank is inside a collective. A rank without an answer has ended or cannot be reached; one that
// answers from outside any collective is the one that the others wait for. Costs one small request to the store per
// half second, and nothing per collective.
class HangDetector {
 public:
  struct Options {
    int rank = 0, size = 1;
    bool hosts_store = false;           // the store ends with this process
    std::chrono::milliseconds timeout;  // of what watch() is given
    // Called on the detector's thread, once, with an error message when something watched has not ended in time.
    std::function<void(const std::string& message)> on_hang;
  };
  // `store`: a connection that nothing else uses.
  HangDetector(c10::intrusive_ptr<c10d::Store> store, Options options);
  ~HangDetector();
  HangDetector(const HangDetector&) = delete;
  HangDetector& operator=(const HangDetector&) = delete;

  // The collective that this rank is in; "" outside. Returns what was set before.
  std::string set_active(std::string what);
  // Work of a collective that goes on after its call (kernels on a GPU) until done() says true, asked for on the
  // detector's thread, in the order of these calls.
  void watch(std::string what, std::function<bool()> done);
  // Raises the alarm. Returns which ranks are missing, as a sentence. Takes some seconds, and never hangs.
  std::string diagnose();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the thread, which may be stuck in a store that no longer answers
  std::thread thread_;
};

// Marks the collective that a rank is in for as long as it lives.
class ActiveCollective {
 public:
  ActiveCollective(HangDetector& detector, std::string what)
      : detector_(detector), before_(detector_.set_active(std::move(what))) {}
  ~ActiveCollective() { detector_.set_active(std::move(before_)); }
  ActiveCollective(const ActiveCollective&) = delete;
  ActiveCollective& operator=(const ActiveCollective&) = delete;

 private:
  HangDetector& detector_;
  std::string before_;
};

}  // namespace gigacat::dist
