#include "dist/hang_detector.h"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
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
constexpr auto kLinger = 2000ms;  // that the rank which hosts the store stays for the others' questions

struct Answer {
  int rank;
  bool silent;
  double seconds;    // since it entered or left the collective
  std::string what;  // "" outside any collective
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

// Work that goes on after the call of its collective.
struct Watched {
  std::string what;
  Clock::time_point since;
  std::function<bool()> done;
};

struct HangDetector::State {
  State(c10::intrusive_ptr<c10d::Store> with, Options given) : store(std::move(with)), options(std::move(given)) {}

  const c10::intrusive_ptr<c10d::Store> store;
  const Options options;
  std::mutex mutex;
  std::condition_variable changed;
  std::string what;
  Clock::time_point since = Clock::now();
  std::deque<Watched> watched;
  bool stop = false, asked = false, ended = false;
  std::optional<std::string> verdict;

  void run();
  bool sleep_until_needed();
  bool is_hung();
  void report_hang();
  void answer();
  Answer read_answer(int from);
  std::string find_verdict();
  void publish(std::string text);
};

// Returns false when the thread has to end.
bool HangDetector::State::sleep_until_needed() {
  std::unique_lock lock(mutex);
  changed.wait_for(lock, kPoll, [this] { return stop || (asked && !verdict); });
  return !stop;
}

// Whether something watched has not ended in time.
bool HangDetector::State::is_hung() {
  const std::lock_guard lock(mutex);
  while (!watched.empty() && watched.front().done()) watched.pop_front();
  return !watched.empty() && Clock::now() - watched.front().since > options.timeout;
}

void HangDetector::State::report_hang() {
  const std::lock_guard lock(mutex);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.timeout).count();
  if (!stop)
    options.on_hang(cat(watched.front().what, " failed on rank ", options.rank, " after ", seconds, " s: ", *verdict));
  watched.clear();
}

void HangDetector::State::answer() {
  std::string text;
  {
    const std::lock_guard lock(mutex);
    const bool on_device = what.empty() && !watched.empty();
    const auto begin = on_device ? watched.front().since : since;
    text =
        cat(std::chrono::duration<double>(Clock::now() - begin).count(), " ", on_device ? watched.front().what : what);
  }
  store->set(cat("answer/", options.rank), text);
}

Answer HangDetector::State::read_answer(int from) {
  const std::string key = cat("answer/", from);
  if (!store->check({key})) return {from, true, 0, ""};
  const std::string text = store->get_to_str(key);
  const size_t space = text.find(' ');
  if (space == std::string::npos) return {from, true, 0, ""};
  return {from, false, std::strtod(text.c_str(), nullptr), text.substr(space + 1)};
}

std::string HangDetector::State::find_verdict() {
  if (store->check({"verdict"})) return store->get_to_str("verdict");
  store->set("alarm", std::string("raised"));
  const auto deadline = Clock::now() + kWindow;
  std::vector<Answer> answers;
  for (bool all = false; !all;) {
    answers.clear();
    all = true;
    for (int i = 0; i < options.size; ++i) {
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

void HangDetector::State::publish(std::string text) {
  const std::lock_guard lock(mutex);
  if (!verdict) verdict = std::move(text);
  changed.notify_all();
}

void HangDetector::State::run() {
  try {
    for (bool answered = false; sleep_until_needed();) {
      const bool hung = is_hung();
      bool wanted;
      {
        const std::lock_guard lock(mutex);
        wanted = (asked || hung) && !verdict;
      }
      if (!answered && (wanted || store->check({"alarm"}))) {
        answer();
        answered = true;
      }
      if (wanted) publish(find_verdict());
      if (hung) report_hang();
    }
  } catch (const std::exception&) {
    // The store answers no more: that itself is the finding, kept for the next caller.
    publish("rank 0, which hosts the store, has ended or does not answer");
    while (sleep_until_needed())
      if (is_hung()) report_hang();
  }
  const std::lock_guard lock(mutex);
  ended = true;
  changed.notify_all();
}

HangDetector::HangDetector(c10::intrusive_ptr<c10d::Store> store, Options options)
    : state_(std::make_shared<State>(std::move(store), std::move(options))) {
  thread_ = std::thread([state = state_] { state->run(); });
}

HangDetector::~HangDetector() {
  std::unique_lock lock(state_->mutex);
  state_->stop = true;
  state_->changed.notify_all();
  const bool ended = state_->changed.wait_for(lock, 2s, [this] { return state_->ended; });
  lock.unlock();
  ended ? thread_.join() : thread_.detach();
}

void HangDetector::watch(std::string what, std::function<bool()> done) {
  const std::lock_guard lock(state_->mutex);
  state_->watched.push_back({std::move(what), Clock::now(), std::move(done)});
}

std::string HangDetector::set_active(std::string what) {
  const std::lock_guard lock(state_->mutex);
  state_->since = Clock::now();
  return std::exchange(state_->what, std::move(what));
}

std::string HangDetector::diagnose() {
  std::unique_lock lock(state_->mutex);
  state_->asked = true;
  state_->changed.notify_all();
  const bool found = state_->changed.wait_for(lock, kWindow + 3s, [this] { return state_->verdict.has_value(); });
  if (!found) return "rank 0, which hosts the store, does not answer";
  const std::string text = *state_->verdict;
  lock.unlock();
  if (state_->options.hosts_store) std::this_thread::sleep_for(kLinger);
  return text;
}

}  // namespace gigacat::dist
