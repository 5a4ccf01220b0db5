#include "dist/meeting.h"

#include <c10/util/Logging.h>
#include <fcntl.h>
#include <unistd.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "dist/sockets.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"

namespace gigacat::dist {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using StorePointer = c10::intrusive_ptr<c10d::Store>;

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

// Where rank 0 listens. A machine's own name often stands for 127.0.1.1 on it, where no other machine would find the
// store.
std::string listening_place(const Environment& environment, const GroupOptions& options) {
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
  if (!serve) return connect(environment.master_address, store, environment.rank);
  int socket = inherited_socket();
  if (socket < 0)
    socket =
        listen_at(listening_place(environment, options), environment.master_port, std::max(128, 4 * environment.world));
  store.isServer = true;
  store.masterListenFd = socket;
  return connect(address_of(socket), store, environment.rank);
}

std::string who_am_i() {
  char host[256] = "";
  if (::gethostname(host, sizeof(host) - 1) != 0) return cat("process ", ::getpid());
  return cat(host, ", process ", ::getpid());
}

void register_rank(c10d::Store& store, const Environment& environment) {
  const std::string me = who_am_i(), key = cat("here/", environment.rank);
  const std::string first = store.compareSet(key, "", me);
  if (first != me)
    fail("rendezvous: ", first, " and ", me, " both are rank ", environment.rank, " of the run at ",
         environment.master_address, ":", environment.master_port, "; another run may use the same port");
  if (store.add("arrived", 1) == environment.world) store.set("all here", me);
}

std::vector<int> absent_ranks(c10d::Store& store, int world) {
  std::vector<int> absent;
  for (int rank = 0; rank < world; ++rank)
    if (!store.check({cat("here/", rank)})) absent.push_back(rank);
  return absent;
}

// Rank 0 stays a moment with its reason in the store, so that ranks with a later deadline learn it too.
[[noreturn]] void give_up(c10d::Store& store, const std::string& reason, bool keeps_store) {
  if (keeps_store) {
    store.set("failed", reason);
    std::this_thread::sleep_for(1500ms);
  }
  fail("rendezvous: ", reason);
}

void wait_for_all(c10d::Store& store, const Environment& environment, std::chrono::seconds timeout, bool keeps_store) {
  const auto deadline = Clock::now() + timeout;
  auto told = Clock::now();
  for (auto pause = 10ms; !store.check({"all here"}); pause = std::min(2 * pause, 300ms)) {
    if (store.check({"failed"})) fail("rendezvous: ", store.get_to_str("failed"));
    if (Clock::now() >= deadline)
      give_up(store,
              cat("of ", environment.world, " ranks these did not come to ", environment.master_address, ":",
                  environment.master_port, " within ", timeout.count(),
                  " s: ", join(absent_ranks(store, environment.world))),
              keeps_store);
    if (Clock::now() - told > 10s) {
      log::info("rendezvous: waiting for rank ", join(absent_ranks(store, environment.world)), " of ",
                environment.world);
      told = Clock::now();
    }
    std::this_thread::sleep_for(pause);
  }
}

// LibTorch remarks on every lost connection with a stack trace, which would bury the one line that names the missing
// rank. Its level is one number for the whole process.
void set_libtorch_log_level(int level) {
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = level;
}

}  // namespace

Meeting meet(const Environment& environment, const GroupOptions& options) {
  static int generation = 0;  // a program may make several groups one after the other at the same store
  const std::string prefix = cat("gigacat/", environment.restart, "/", generation++);
  Meeting meeting;
  meeting.keeps_store = environment.rank == 0 && !environment.agent_store;
  set_libtorch_log_level(c10::GLOG_FATAL);
  const StorePointer whole = open_store(environment, options, meeting.keeps_store);
  set_libtorch_log_level(c10::GLOG_ERROR);
  try {
    meeting.store = c10::make_intrusive<c10d::PrefixStore>(prefix, whole);
    meeting.watch_store = c10::make_intrusive<c10d::PrefixStore>(prefix, whole->clone());
    register_rank(*meeting.store, environment);
    wait_for_all(*meeting.store, environment, options.rendezvous, meeting.keeps_store);
  } catch (const c10::Error& error) {
    fail("rendezvous at ", environment.master_address, ":", environment.master_port,
         ": the store broke off: ", error.what_without_backtrace());
  }
  return meeting;
}

Meeting Meeting::again(const std::string& name, int rank) const {
  Meeting other;
  other.keeps_store = keeps_store;
  other.store = c10::make_intrusive<c10d::PrefixStore>(name, store->clone());
  other.watch_store = c10::make_intrusive<c10d::PrefixStore>(name, watch_store->clone());
  other.store->set(cat("here/", rank), who_am_i());
  return other;
}

}  // namespace gigacat::dist
