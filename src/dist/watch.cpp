#include "dist/watch.h"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "gigacat/core/text.h"

namespace gigacat::dist {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

constexpr auto kPoll = 500ms;     // between looks at the alarm
constexpr auto kWindow = 3000ms;  // for all answers
constexpr auto kLinger = 2000ms;  // that the store's own rank stays for the others' questions

struct Answer {
  int rank;
  bool silent;
  double seconds;    // that it has been doing this
  std::string what;  // "" outside any exchange
};

std::string name_of(c10d::Store& store, int rank) {
  const std::string key = cat("here/", rank);
  return store.check({key}) ? cat("rank ", rank, " (", store.get_to_str(key), ")") : cat("rank ", rank);
}

// The reason that fits the answers best: silence explains everything else.
std::string conclude(c10d::Store& store, const std::vector<Answer>& answers) {
  std::vector<std::string> silent, outside, inside;
  for (const Answer& a : answers) {
    const std::string name = name_of(store, a.rank);
    if (a.silent)
      silent.push_back(cat(name, " has ended or does not answer"));
    else if (a.what.empty())
      outside.push_back(cat(name, " has not come: on its own for ", human_time(a.seconds)));
    else
      inside.push_back(cat(name, " in \"", a.what, "\""));
  }
  if (!silent.empty()) return join(silent, "; ");
  if (!outside.empty()) return join(outside, "; ");
  return cat("all ranks live and wait: ", join(inside, ", "));
}

}  // namespace

struct Watch::State {
  State(c10::intrusive_ptr<c10d::Store> with, int my_rank, int ranks, bool keeps)
      : store(std::move(with)), rank(my_rank), size(ranks), keeps_store(keeps) {}

  const c10::intrusive_ptr<c10d::Store> store;
  const int rank, size;
  const bool keeps_store;
  std::mutex mutex;
  std::condition_variable changed;
  std::string what;
  Clock::time_point since = Clock::now();
  bool stop = false, asked = false, ended = false;
  std::optional<std::string> verdict;

  void run();
  bool sleep_until_needed();
  void answer();
  Answer read_answer(int from);
  std::string find_verdict();
  void publish(std::string text);
};

// Returns false when the thread has to end.
bool Watch::State::sleep_until_needed() {
  std::unique_lock lock(mutex);
  changed.wait_for(lock, kPoll, [this] { return stop || (asked && !verdict); });
  return !stop;
}

void Watch::State::answer() {
  std::string text;
  {
    const std::lock_guard lock(mutex);
    text = cat(std::chrono::duration<double>(Clock::now() - since).count(), " ", what);
  }
  store->set(cat("answer/", rank), text);
}

Answer Watch::State::read_answer(int from) {
  const std::string key = cat("answer/", from);
  if (!store->check({key})) return {from, true, 0, ""};
  const std::string text = store->get_to_str(key);
  const size_t space = text.find(' ');
  if (space == std::string::npos) return {from, true, 0, ""};
  return {from, false, std::strtod(text.c_str(), nullptr), text.substr(space + 1)};
}

std::string Watch::State::find_verdict() {
  if (store->check({"verdict"})) return store->get_to_str("verdict");
  store->set("alarm", std::string("raised"));
  const auto deadline = Clock::now() + kWindow;
  std::vector<Answer> answers;
  for (bool all = false; !all;) {
    answers.clear();
    all = true;
    for (int i = 0; i < size; ++i) {
      answers.push_back(read_answer(i));
      all = all && !answers.back().silent;
    }
    if (Clock::now() > deadline) break;
    if (!all) std::this_thread::sleep_for(50ms);
  }
  const std::string text = conclude(*store, answers);
  store->set("verdict", text);
  return text;
}

void Watch::State::publish(std::string text) {
  const std::lock_guard lock(mutex);
  if (!verdict) verdict = std::move(text);
  changed.notify_all();
}

void Watch::State::run() {
  try {
    for (bool answered = false; sleep_until_needed();) {
      bool wanted;
      {
        const std::lock_guard lock(mutex);
        wanted = asked && !verdict;
      }
      if (!answered && (wanted || store->check({"alarm"}))) {
        answer();
        answered = true;
      }
      if (wanted) publish(find_verdict());
    }
  } catch (const std::exception&) {
    // The store answers no more: that itself is the finding, kept for whoever asks.
    publish("rank 0, which keeps the meeting place, has ended or does not answer");
  }
  const std::lock_guard lock(mutex);
  ended = true;
  changed.notify_all();
}

Watch::Watch(c10::intrusive_ptr<c10d::Store> store, int rank, int size, bool keeps_store)
    : state_(std::make_shared<State>(std::move(store), rank, size, keeps_store)) {
  thread_ = std::thread([state = state_] { state->run(); });
}

Watch::~Watch() {
  std::unique_lock lock(state_->mutex);
  state_->stop = true;
  state_->changed.notify_all();
  const bool ended = state_->changed.wait_for(lock, 2s, [this] { return state_->ended; });
  lock.unlock();
  ended ? thread_.join() : thread_.detach();
}

std::string Watch::set_doing(std::string what) {
  const std::lock_guard lock(state_->mutex);
  state_->since = Clock::now();
  return std::exchange(state_->what, std::move(what));
}

std::string Watch::diagnose() {
  std::unique_lock lock(state_->mutex);
  state_->asked = true;
  state_->changed.notify_all();
  const bool found = state_->changed.wait_for(lock, kWindow + 3s, [this] { return state_->verdict.has_value(); });
  if (!found) return "rank 0, which keeps the meeting place, does not answer";
  const std::string text = *state_->verdict;
  lock.unlock();
  if (state_->keeps_store) std::this_thread::sleep_for(kLinger);
  return text;
}

}  // namespace gigacat::dist
