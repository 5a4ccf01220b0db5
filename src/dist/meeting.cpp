#include "dist/meeting.h"

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
  return socket > STDERR_FILENO ? socket : -1;
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

StorePointer open_store(const Environment& environment, const GroupOptions& options, bool serve) {
  c10d::TCPStoreOptions store;
  store.port = static_cast<std::uint16_t>(environment.master_port);
  store.waitWorkers = false;
  store.timeout = options.rendezvous;
  if (!serve) return connect(environment.master_address, store, environment.rank);
  int socket = inherited_socket();
  if (socket < 0) {
    const std::string& place = options.bind.empty() ? environment.master_address : options.bind;
    socket = listen_at(place, environment.master_port, std::max(128, 4 * environment.world));
  }
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
  std::vector<std::string> keys;
  for (int rank = 0; rank < environment.world; ++rank) keys.push_back(cat("here/", rank));
  const auto began = Clock::now(), deadline = began + timeout;
  auto told = began;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    try {
      return store.wait(keys, std::clamp<std::chrono::milliseconds>(left, 1ms, 1s));
    } catch (const c10::DistError&) {
      // Not all have come in this second.
    }
    if (store.check({"failed"})) fail("rendezvous: ", store.get_to_str("failed"));
    const std::string absent = join(absent_ranks(store, environment.world));
    if (Clock::now() >= deadline)
      give_up(store,
              cat("of ", environment.world, " ranks these did not come to ", environment.master_address, ":",
                  environment.master_port, " within ", timeout.count(), " s: ", absent),
              keeps_store);
    if (Clock::now() - told < 10s) continue;
    told = Clock::now();
    log::info("rendezvous: waiting for rank ", absent, " of ", environment.world);
  }
}

}  // namespace

Meeting meet(const Environment& environment, const GroupOptions& options) {
  static int generation = 0;  // a program may make several groups one after the other at the same store
  const std::string prefix = cat("gigacat/", environment.restart, "/", generation++);
  Meeting meeting;
  meeting.keeps_store = environment.rank == 0 && !environment.agent_store;
  const StorePointer whole = open_store(environment, options, meeting.keeps_store);
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

}  // namespace gigacat::dist
