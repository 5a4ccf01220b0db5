// Threads around the assembler. A slot is a batch in the making; any free worker takes the next few places of the
// oldest slot.
#include "gigacat/data/loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <iterator>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_set>

#include "data/assemble.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"

namespace gigacat::data {

namespace {

constexpr size_t kMostNamed = 20;  // bad samples that the log and the report name

// A batch in the making. All but the batch's content is guarded by the loader's mutex.
struct Slot {
  HostBatch batch;
  bool allocated = false;
  int64_t claimed = 0, done = 0;  // places
  std::vector<BadSample> bad;
  std::exception_ptr error;
  bool finished(int64_t places) const { return error != nullptr || (allocated && done == places); }
};

struct Task {
  std::shared_ptr<Slot> slot;
  int64_t begin = 0, end = 0;
};

// What to do when a share `bad` of the samples cannot be read.
std::string way_on(double bad) {
  double enough = 1;
  for (const double fraction : {0.5, 0.2, 0.1, 0.05, 0.02})
    if (bad < fraction) enough = fraction;
  return cat("mend or remove them (`gigacat data inspect` names them), or go on without them by data.max_bad_fraction=",
             enough);
}

}  // namespace

struct Loader::Impl {
  Impl(std::shared_ptr<const Source> source, const DataConfig& data_config, const LoaderOptions& loader_options)
      : config(data_config),
        assembler(std::move(source), data_config, loader_options),
        places(assembler.per_rank()),
        opens(loader_options.first_step),
        returns(loader_options.first_step),
        last_step(loader_options.last_step) {
    const int64_t count = config.worker_count();
    chunk = std::clamp<int64_t>(places / (4 * count), 1, 16);
    try {
      for (int64_t i = 0; i < count; ++i) workers.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      stop();
      fail("data: cannot start ", count, " worker threads: ", error.what());
    }
  }

  ~Impl() { stop(); }

  void stop();
  void work();
  Task claim();
  void open(std::unique_lock<std::mutex>& lock);
  void run(Task& task, std::unique_lock<std::mutex>& lock);
  std::shared_ptr<Slot> take(double& seconds);
  void account(const Slot& slot);

  const DataConfig config;
  Assembler assembler;
  const int64_t places;  // of this rank's batch
  int64_t chunk = 1;     // places that a worker takes at once
  std::mutex mutex;
  std::condition_variable work_changed, batch_finished;
  bool stopping = false;
  std::deque<std::shared_ptr<Slot>> slots;  // oldest first
  int64_t opens, returns;                   // next step to be begun, to be handed out
  const int64_t last_step;
  std::exception_ptr failure;  // given again by every later call
  LoaderReport report;
  std::unordered_set<int64_t> counted;  // indices of bad samples in the report
  std::vector<std::thread> workers;
};

void Loader::Impl::stop() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  work_changed.notify_all();
  for (std::thread& worker : workers) worker.join();
}

void Loader::Impl::work() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (Task task = claim(); task.slot)
      run(task, lock);
    else if (static_cast<int64_t>(slots.size()) < config.prefetch && opens <= last_step)
      open(lock);
    else
      work_changed.wait(lock);
  }
}

Task Loader::Impl::claim() {
  for (const auto& slot : slots) {
    if (!slot->allocated || slot->error || slot->claimed == places) continue;
    const int64_t begin = slot->claimed;
    slot->claimed = std::min(places, begin + chunk);
    return {slot, begin, slot->claimed};
  }
  return {};
}

// Memory is taken outside the lock: pinning pages is slow.
void Loader::Impl::open(std::unique_lock<std::mutex>& lock) {
  const auto slot = std::make_shared<Slot>();
  slots.push_back(slot);
  const int64_t step = opens++;
  lock.unlock();
  std::exception_ptr error;
  try {
    slot->batch = assembler.open(step);
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  slot->allocated = true;
  slot->error = error;
  work_changed.notify_all();
  if (error) batch_finished.notify_all();
}

void Loader::Impl::run(Task& task, std::unique_lock<std::mutex>& lock) {
  std::vector<BadSample> bad;
  std::exception_ptr error;
  for (int64_t i = task.begin; i < task.end && !error && !stopping; ++i) {
    lock.unlock();
    try {
      assembler.fill(task.slot->batch, i, bad);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
  }
  Slot& slot = *task.slot;
  slot.bad.insert(slot.bad.end(), std::make_move_iterator(bad.begin()), std::make_move_iterator(bad.end()));
  slot.done += task.end - task.begin;
  if (error && !slot.error) slot.error = error;
  if (slot.finished(places)) batch_finished.notify_all();
}

std::shared_ptr<Slot> Loader::Impl::take(double& seconds) {
  const auto began = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex);
  if (failure) std::rethrow_exception(failure);
  GIGACAT_CHECK(returns <= last_step, "no batch after step ", last_step);
  batch_finished.wait(lock, [this] { return !slots.empty() && slots.front()->finished(places); });
  const std::shared_ptr<Slot> slot = slots.front();
  slots.pop_front();
  ++returns;
  work_changed.notify_all();
  if (slot->error) failure = slot->error;
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return slot;
}

// Runs in step order, so that what is counted and when a run fails does not hang on the workers.
void Loader::Impl::account(const Slot& slot) {
  std::vector<const BadSample*> bad;
  for (const BadSample& sample : slot.bad) bad.push_back(&sample);
  std::sort(bad.begin(), bad.end(), [](const BadSample* a, const BadSample* b) { return a->index < b->index; });
  const std::lock_guard lock(mutex);
  report.read += places;
  for (const BadSample* sample : bad) {
    if (!counted.insert(sample->index).second) continue;
    ++report.bad;
    ++report.read;
    if (report.first_bad.size() >= kMostNamed) continue;
    report.first_bad.push_back(sample->reason);
    log::warn("data: bad sample skipped: ", sample->reason);
    if (report.first_bad.size() == kMostNamed) log::warn("data: further bad samples are counted, not named");
  }
  const auto count = static_cast<double>(report.bad), whole = static_cast<double>(assembler.source().size());
  const bool too_many = count > config.max_bad_fraction * static_cast<double>(report.read);
  constexpr double kHandful = 10;
  if (!too_many || (count <= kHandful && count <= config.max_bad_fraction * whole)) return;
  failure = std::make_exception_ptr(
      Error(cat("data: ", report.bad, " of ", report.read,
                " samples read are bad, more than data.max_bad_fraction = ", config.max_bad_fraction,
                "; the first: ", report.first_bad.front(), "; ", way_on(count / static_cast<double>(report.read)))));
  std::rethrow_exception(failure);
}

Loader::Loader(std::shared_ptr<const Source> source, const DataConfig& config, const LoaderOptions& options)
    : impl_(std::make_unique<Impl>(std::move(source), config, options)) {}

Loader::~Loader() = default;

HostBatch Loader::next() {
  double seconds = 0;
  const std::shared_ptr<Slot> slot = impl_->take(seconds);
  impl_->account(*slot);
  if (slot->error) std::rethrow_exception(slot->error);
  slot->batch.wait_seconds = seconds;
  return std::move(slot->batch);
}

LoaderReport Loader::report() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->report;
}

const SampleLayout& Loader::layout() const { return impl_->assembler.layout(); }

}  // namespace gigacat::data
