#include "gigacat/sweep/runner.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "dist/jobs.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/run/config.h"
#include "gigacat/run/run_folder.h"
#include "gigacat/train/trainer.h"
#include "sweep/halving.h"

namespace gigacat::sweep {
namespace {

constexpr uint64_t kMostText = 64 << 20;

nlohmann::json read_state(const fs::path& folder) {
  const fs::path file = folder / "state.json";
  if (!fs::exists(file)) return nlohmann::json::object();
  auto state = nlohmann::json::parse(read_file(file, kMostText), nullptr, false);
  return state.is_object() ? state : nlohmann::json::object();
}

void write_state(const fs::path& folder, const std::string& status, const std::string& error, double seconds) {
  const nlohmann::ordered_json state{{"status", status}, {"error", error}, {"seconds", seconds}};
  write_atomically(folder / "state.json", state.dump(2) + "\n");
}

// Step of the last whole line of metrics.jsonl.
int64_t last_step(const fs::path& metrics) {
  if (!fs::exists(metrics)) return 0;
  std::istringstream lines(read_file(metrics));
  int64_t step = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line, nullptr, false);
    if (record.is_object() && record.contains("step")) step = record["step"].get<int64_t>();
  }
  return step;
}

// Steps of the whole run.
int64_t length_of(const Run& run) { return run::parse_config(run.config, run.label)->train.steps; }

bool is_locked(const fs::path& folder) {
  if (!fs::exists(folder / ".lock")) return false;
  try {
    const run::RunLock lock(folder);
    return false;
  } catch (const UsageError&) {
    return true;
  }
}

// `steps`: where it stops.
dist::Job job_of(const Sweep& sweep, const Run& run, int ranks, int64_t steps) {
  const fs::path folder = folder_of(sweep, run);
  fs::create_directories(folder);
  write_atomically(folder / "config.yaml", run.config);
  dist::Job job;
  job.log = folder / "log.txt";
  const fs::path before = state_of(sweep, run).run;
  if (before.empty())
    job.arguments = {"train", (folder / "config.yaml").string(), "out=" + folder.string()};
  else
    job.arguments = {"train", "--resume", before.string()};
  job.arguments.push_back(cat("train.steps=", steps));
  if (ranks > 1) job.arguments.insert(job.arguments.end(), {"--ranks", std::to_string(ranks)});
  return job;
}

// The GPUs of each slot, as CUDA names them.
std::vector<std::string> gpu_slots(const RunnerOptions& options) {
  if (options.gpus.empty()) return {};
  const auto wanted = static_cast<size_t>(options.jobs) * static_cast<size_t>(options.ranks);
  if (options.gpus.size() < wanted)
    fail<UsageError>(options.jobs, " jobs of ", options.ranks, " ranks need ", wanted, " GPUs; --gpus names ",
                     options.gpus.size());
  std::vector<std::string> slots;
  for (int slot = 0; slot < options.jobs; ++slot) {
    const auto first = options.gpus.begin() + static_cast<int64_t>(slot) * options.ranks;
    slots.push_back(join(std::vector<std::string>(first, first + options.ranks), ","));
  }
  return slots;
}

}  // namespace

fs::path folder_of(const Sweep& sweep, const Run& run) { return sweep.folder / "runs" / run.id; }

RunState state_of(const Sweep& sweep, const Run& run) {
  const fs::path folder = folder_of(sweep, run);
  const nlohmann::json stored = read_state(folder);
  RunState state;
  state.status = stored.value("status", "waiting");
  state.error = stored.value("error", "");
  state.seconds = stored.value("seconds", 0.0);
  state.steps = length_of(run);
  const auto runs = run::list_runs(folder);
  if (!runs.empty()) {
    state.run = runs.front();
    state.step = last_step(run::RunFolder::open(state.run).metrics());
  }
  if (state.status == "running" && !is_locked(sweep.folder)) state.status = "stopped";  // its runner was killed
  return state;
}

namespace {

// One round of a sweep: trains runs up to a step and counts how they ended.
class Round {
 public:
  // `steps`: where runs stop; 0: at their own length.
  Round(const Sweep& sweep, const RunnerOptions& options, int64_t steps);
  // Returns 0, or 128 + the signal that stopped it.
  int run();
  int64_t done() const { return done_; }
  int64_t pruned() const { return pruned_; }

 private:
  bool is_chosen(const Run& run, const RunState& state);
  int64_t target(const Run& run) const;
  void ended(const dist::JobEnd& end);

  const Sweep& sweep_;
  const RunnerOptions& options_;
  int64_t steps_;
  std::vector<const Run*> runs_;
  std::vector<dist::Job> jobs_;
  int64_t done_ = 0, failed_ = 0, pruned_ = 0;
};

Round::Round(const Sweep& sweep, const RunnerOptions& options, int64_t steps)
    : sweep_(sweep), options_(options), steps_(steps) {
  for (const Run& run : sweep.runs) {
    if (!options.only.empty() && run.id != options.only) continue;
    const RunState state = state_of(sweep, run);
    if (!is_chosen(run, state)) continue;
    runs_.push_back(&run);
    jobs_.push_back(job_of(sweep, run, options.ranks, target(run)));
  }
}

bool Round::is_chosen(const Run& run, const RunState& state) {
  if (state.status == "done") return ++done_, false;
  if (state.status == "failed" && !options_.retry) return ++failed_, false;
  if (state.status == "pruned" && !options_.all) return ++pruned_, false;
  return state.step < target(run) || steps_ == 0;
}

int64_t Round::target(const Run& run) const { return steps_ == 0 ? length_of(run) : std::min(length_of(run), steps_); }

int Round::run() {
  log::info("sweep ", sweep_.name, steps_ == 0 ? "" : cat(" to step ", steps_), ": ", sweep_.runs.size(), " runs, ",
            done_, " done before, ", failed_, " failed before, ", pruned_ == 0 ? "" : cat(pruned_, " pruned, "),
            jobs_.size(), " to do");
  const auto slots = gpu_slots(options_);
  dist::JobOptions how;
  how.at_once = options_.jobs;
  if (!slots.empty())
    how.variables = [&slots](int slot) {
      return std::vector<std::pair<std::string, std::string>>{
          {"CUDA_VISIBLE_DEVICES", slots[static_cast<size_t>(slot)]}};
    };
  how.started = [&](size_t job) {
    log::info("started ", runs_[job]->id, " ", runs_[job]->label, ", seed ", runs_[job]->seed);
    const fs::path folder = folder_of(sweep_, *runs_[job]);
    write_state(folder, "running", "", read_state(folder).value("seconds", 0.0));
  };
  how.ended = [&](const dist::JobEnd& end) { ended(end); };
  return dist::run_jobs(jobs_, how);
}

void Round::ended(const dist::JobEnd& end) {
  const Run& run = *runs_[end.job];
  const fs::path folder = folder_of(sweep_, run);
  const bool on_request =
      end.code == train::kExitInterrupted || end.code == train::kExitTerminated || end.code == train::kExitTimeLimit;
  const bool whole = target(run) == length_of(run);
  const bool stopped = on_request || (end.code == 0 && !whole);
  const char* status = stopped ? "stopped" : end.code == 0 ? "done" : "failed";
  const std::string error = stopped                               ? ""
                            : end.error.empty() && end.code > 128 ? cat("killed by signal ", end.code - 128)
                                                                  : end.error;
  write_state(folder, status, error, read_state(folder).value("seconds", 0.0) + end.seconds);
  (end.code == 0 ? done_ : failed_) += stopped ? 0 : 1;
  log::info(status, " ", run.id, " ", run.label, ", seed ", run.seed, " after ", human_time(end.seconds), ": ", done_,
            " of ", sweep_.runs.size(), " done", error.empty() ? "" : "; ", error);
}

// Steps after which runs are compared: first, first * factor, ... below the longest run.
std::vector<int64_t> rungs_of(const Sweep& sweep) {
  std::vector<int64_t> rungs;
  if (sweep.halving.metric.empty()) return rungs;
  int64_t longest = 0;
  for (const Run& run : sweep.runs) {
    const auto config = run::parse_config(run.config, run.label);
    longest = std::max(longest, config->train.steps);
    if (config->optimizer.schedule == "cosine" && config->optimizer.decay_steps == 0)
      fail<UsageError>("halving: the learning rate of run '", run.label,
                       "' depends on train.steps, which halving changes: set optimizer.decay_steps");
  }
  for (int64_t step = sweep.halving.first; step < longest; step *= sweep.halving.factor) rungs.push_back(step);
  return rungs;
}

}  // namespace

int run_sweep(const Sweep& sweep, const RunnerOptions& options) {
  const bool known = std::any_of(sweep.runs.begin(), sweep.runs.end(),
                                 [&](const Run& run) { return options.only.empty() || run.id == options.only; });
  if (!known) fail<UsageError>("--only ", options.only, ": the sweep has no such run; `sweep plan` lists them");
  gpu_slots(options);  // checked before anything is created
  const fs::path place = options.only.empty() ? sweep.folder : sweep.folder / "runs" / options.only;
  fs::create_directories(place);
  const run::RunLock lock(place);
  auto rungs = options.all || !options.only.empty() ? std::vector<int64_t>() : rungs_of(sweep);
  rungs.push_back(0);
  for (const int64_t steps : rungs) {
    Round round(sweep, options, steps);
    if (const int stop = round.run(); stop != 0) {
      log::info("stopped on request; the same command resumes the sweep");
      return stop;
    }
    if (steps > 0)
      for (const Run* run : eliminated_runs(sweep, steps)) {
        const fs::path folder = folder_of(sweep, *run);
        log::info("pruned ", run->id, " ", run->label, ", seed ", run->seed, " at step ", steps);
        write_state(folder, "pruned", "", read_state(folder).value("seconds", 0.0));
      }
    if (steps == 0 && options.only.empty()) return round.done() + round.pruned() == std::ssize(sweep.runs) ? 0 : 1;
    if (steps == 0) return round.done() == 1 ? 0 : 1;
  }
  return 0;
}

}  // namespace gigacat::sweep
