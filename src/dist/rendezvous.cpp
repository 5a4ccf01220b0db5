#include "dist/rendezvous.h"

#include <c10/util/Logging.h>
#include <fcntl.h>
#include <unistd.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "dist/sockets.h"
#include "gigacat/core/error.h"
#include "gigacat/core/host.h"
#include "gigacat/core/log.h"

namespace gigacat::dist {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using StorePointer = c10::intrusive_ptr<c10d::Store>;

constexpr std::chrono::seconds kFirstReport{10}, kLaterReports{30};  // of a rank above 0 that waits

// The socket that launch_local has opened for rank 0, so that no other program can take the port in between; -1: none.
int inherited_socket() {
  const char* text = std::getenv("GIGACAT_STORE_FD");
  if (text == nullptr) return -1;
  const int socket = std::atoi(text);
  ::unsetenv("GIGACAT_STORE_FD");
  if (socket <= STDERR_FILENO || ::fcntl(socket, F_SETFD, FD_CLOEXEC) != 0) return -1;
  return socket;
}

StorePointer connect(const std::string& host, const c10d::TCPStoreOptions& options, int rank) {
  try {
    return c10::make_intrusive<c10d::TCPStore>(host, options);
  } catch (const c10::Error& error) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.timeout).count();
    log::debug("rendezvous: ", error.what_without_backtrace());
    fail("rendezvous: rank ", rank, " found no rank 0 at ", host, ":", options.port, " within ", seconds,
         " s: is it running, and are MASTER_ADDR and MASTER_PORT the same for all?");
  }
}

// Says again and again where this rank tries to find rank 0, while the store's constructor blocks.
class ConnectReminder {
 public:
  ConnectReminder(int rank, const std::string& host, int port)
      : place_(cat("rendezvous: rank ", rank, " has tried to reach ", rank == 0 ? "torchrun's store" : "rank 0", " at ",
                   host, ":", port, " for ")),
        thread_([this] { run(); }) {}
  ~ConnectReminder() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  ConnectReminder(const ConnectReminder&) = delete;
  ConnectReminder& operator=(const ConnectReminder&) = delete;

 private:
  void run() {
    std::chrono::seconds passed = 0s, pause = kFirstReport;
    for (std::unique_lock lock(mutex_); !changed_.wait_for(lock, pause, [this] { return done_; });
         pause = kLaterReports)
      log::warn(place_, (passed += pause).count(),
                " s; does it run, and do MASTER_ADDR and MASTER_PORT name its machine?");
  }

  const std::string place_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;  // the last member: it uses the others
};

// Where rank 0 listens. A machine's own name often stands for 127.0.1.1 on it, where no other machine would find the
// store.
std::string listen_address(const Environment& environment, const GroupOptions& options) {
  if (!options.bind.empty()) return options.bind;
  const bool one_machine = environment.local_world == environment.world;
  const std::string& master = environment.master_address;
  return one_machine || !is_loopback(address_towards(master, environment.master_port)) ? master : "0.0.0.0";
}

StorePointer open_store(const Environment& environment, const GroupOptions& options, bool serve) {
  c10d::TCPStoreOptions store;
  store.port = static_cast<std::uint16_t>(environment.master_port);
  store.waitWorkers = false;
  store.timeout = options.rendezvous;
  if (!serve) {
    const ConnectReminder reminder(environment.rank, environment.master_address, environment.master_port);
    return connect(environment.master_address, store, environment.rank);
  }
  int socket = inherited_socket();
  if (socket < 0)
    socket =
        listen_at(listen_address(environment, options), environment.master_port, std::max(128, 4 * environment.world));
  store.isServer = true;
  store.masterListenFd = socket;
  return connect(address_of(socket), store, environment.rank);
}

std::string own_name() { return cat(host_name(), ", process ", ::getpid()); }

// One rank's way into an attempt. Keys: "current": number and size of the newest attempt; NUMBER/here/RANK: who has
// registered as RANK; NUMBER/agent/RANK: its agent; NUMBER/complete: all have come; NUMBER/failed: why rank 0 has given
// up.
class Attempt {
 public:
  Attempt(c10d::Store& store, const Environment& environment, std::chrono::seconds timeout, bool hosts_store)
      : store_(store), environment_(environment), timeout_(timeout), hosts_store_(hosts_store) {}

  // Returns the number of the attempt that all ranks are in.
  std::string join(std::set<std::string>& agents);

 private:
  void start();
  void register_rank(const std::string& newest);
  bool is_complete();
  void report_progress();
  std::vector<int> absent_ranks();
  [[noreturn]] void give_up();
  std::string key(const char* what, int rank) const { return cat(number_, "/", what, "/", rank); }

  c10d::Store& store_;
  const Environment& environment_;
  const std::chrono::seconds timeout_;
  const bool hosts_store_;
  const std::string me_ = own_name();
  const Clock::time_point deadline_ = Clock::now() + timeout_;
  Clock::time_point reported_ = Clock::now();
  std::chrono::seconds pause_ = kFirstReport;  // until the next report
  std::string newest_;                         // as last read from the store
  std::string number_;                         // "": no attempt that this rank could belong to
  std::string first_;                          // another process that is this rank there, or ""
};

void Attempt::start() {
  std::random_device random;
  newest_ = cat(std::hex, random(), random(), " ", std::dec, environment_.world);
  register_rank(newest_);
  store_.set("current", newest_);
}

void Attempt::register_rank(const std::string& newest) {
  newest_ = newest;
  const size_t space = newest.find(' ');
  number_ = newest.substr(space + 1) == std::to_string(environment_.world) ? newest.substr(0, space) : "";
  // An attempt of another number of ranks, or one that failed before this rank came: a restart's rank 0 begins the
  // next.
  if (!number_.empty() && environment_.rank > 0 && store_.check({number_ + "/failed"})) number_.clear();
  if (number_.empty()) return;
  const std::string first = store_.compareSet(key("here", environment_.rank), "", me_);
  first_ = first == me_ ? "" : first;
  if (first_.empty()) store_.set(key("agent", environment_.rank), environment_.agent);
}

bool Attempt::is_complete() {
  if (environment_.rank == 0) {
    std::vector<std::string> all;
    for (int rank = 0; rank < environment_.world; ++rank) all.push_back(key("agent", rank));
    if (!store_.check(all)) return false;
    store_.set(number_ + "/complete", me_);
    return true;
  }
  if (!store_.check({"current"})) return false;
  if (const std::string newest = store_.get_to_str("current"); newest != newest_) register_rank(newest);
  if (number_.empty() || !first_.empty()) return false;
  if (store_.check({number_ + "/failed"})) fail("rendezvous: ", store_.get_to_str(number_ + "/failed"));
  return store_.check({number_ + "/complete"});
}

std::vector<int> Attempt::absent_ranks() {
  std::vector<int> absent;
  for (int rank = 0; rank < environment_.world; ++rank)
    if (!store_.check({key("agent", rank)})) absent.push_back(rank);
  return absent;
}

void Attempt::report_progress() {
  if (Clock::now() - reported_ < pause_) return;
  reported_ = Clock::now();
  if (environment_.rank == 0)
    return log::info("rendezvous: waiting for rank ", gigacat::join(absent_ranks()), " of ", environment_.world);
  pause_ = kLaterReports;
  log::warn("rendezvous: rank ", environment_.rank, " has reached ", environment_.master_address, ":",
            environment_.master_port, " and waits for ", number_.empty() ? "rank 0" : "the other ranks");
}

void Attempt::give_up() {
  const std::string address = cat(environment_.master_address, ":", environment_.master_port);
  if (!first_.empty())
    fail("rendezvous: ", first_, " and ", me_, " both are rank ", environment_.rank, " of the run at ", address,
         "; another run may use the same port");
  if (number_.empty())
    fail("rendezvous: no rank 0 of ", environment_.world, " ranks has come to ", address, " within ", timeout_.count(),
         " s", newest_.empty() ? "" : cat("; the one there is of ", newest_.substr(newest_.find(' ') + 1), " ranks"));
  const std::string reason = cat("of ", environment_.world, " ranks these did not come to ", address, " within ",
                                 timeout_.count(), " s: ", gigacat::join(absent_ranks()));
  if (environment_.rank == 0) store_.set(number_ + "/failed", reason);
  if (hosts_store_) std::this_thread::sleep_for(1500ms);  // ranks with a later deadline learn the reason too
  fail("rendezvous: ", reason);
}

std::string Attempt::join(std::set<std::string>& agents) {
  if (environment_.rank == 0) start();
  for (auto pause = 10ms; !is_complete(); pause = std::min(2 * pause, 300ms)) {
    if (Clock::now() >= deadline_) give_up();
    report_progress();
    std::this_thread::sleep_for(pause);
  }
  if (environment_.rank > 0) return number_;
  for (int rank = 0; rank < environment_.world; ++rank) agents.insert(store_.get_to_str(key("agent", rank)));
  agents.erase("");
  return number_;
}

// LibTorch remarks on every lost connection with a stack trace, which would bury the one line that names the missing
// rank. Its level is one number for the whole process.
void set_libtorch_log_level(int level) {
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = level;
}

Rendezvous join_once(const Environment& environment, const GroupOptions& options, const std::string& prefix) {
  Rendezvous rendezvous;
  rendezvous.hosts_store = environment.rank == 0 && !environment.agent_store;
  set_libtorch_log_level(c10::GLOG_FATAL);
  const StorePointer whole = open_store(environment, options, rendezvous.hosts_store);
  set_libtorch_log_level(c10::GLOG_ERROR);
  const auto store = c10::make_intrusive<c10d::PrefixStore>(prefix, whole);
  const std::string number =
      Attempt(*store, environment, options.rendezvous, rendezvous.hosts_store).join(rendezvous.agents);
  rendezvous.store = c10::make_intrusive<c10d::PrefixStore>(number, store);
  rendezvous.watch_store = c10::make_intrusive<c10d::PrefixStore>(number, store->clone());
  return rendezvous;
}

}  // namespace

Rendezvous join_rendezvous(const Environment& environment, const GroupOptions& options) {
  static int groups = 0;  // a program may make several, one after the other, at the same store
  const std::string prefix = cat("gigacat/", environment.run_id, "/", groups++);
  const auto deadline = Clock::now() + options.rendezvous;
  while (true) {
    try {
      return join_once(environment, options, prefix);
    } catch (const c10::Error& error) {
      // It may have been the store of a rank 0 that was being ended for a restart: the next one opens its own.
      if (environment.rank == 0 || environment.agent_store || Clock::now() >= deadline)
        fail("rendezvous at ", environment.master_address, ":", environment.master_port,
             ": the store broke off: ", error.what_without_backtrace());
    }
    std::this_thread::sleep_for(200ms);
  }
}

}  // namespace gigacat::dist
