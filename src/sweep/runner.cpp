#include "gigacat/sweep/runner.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/dist/jobs.h"
#include "gigacat/train/config.h"
#include "gigacat/train/run_folder.h"
#include "gigacat/train/trainer.h"

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
    const auto figures = nlohmann::json::parse(line, nullptr, false);
    if (figures.is_object() && figures.contains("step")) step = figures["step"].get<int64_t>();
  }
  return step;
}

bool is_locked(const fs::path& folder) {
  if (!fs::exists(folder / ".lock")) return false;
  try {
    const train::RunLock lock(folder);
    return false;
  } catch (const UsageError&) {
    return true;
  }
}

dist::Job job_of(const Plan& plan, const Run& run, int ranks) {
  const fs::path folder = folder_of(plan, run);
  fs::create_directories(folder);
  write_atomically(folder / "config.yaml", run.config);
  dist::Job job;
  job.log = folder / "log.txt";
  const fs::path before = state_of(plan, run).run;
  if (before.empty())
    job.arguments = {"train", (folder / "config.yaml").string(), "out=" + folder.string()};
  else
    job.arguments = {"train", "--resume", before.string()};
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

fs::path folder_of(const Plan& plan, const Run& run) { return plan.folder / "runs" / run.id; }

RunState state_of(const Plan& plan, const Run& run) {
  const fs::path folder = folder_of(plan, run);
  const nlohmann::json stored = read_state(folder);
  RunState state;
  state.status = stored.value("status", "waiting");
  state.error = stored.value("error", "");
  state.seconds = stored.value("seconds", 0.0);
  state.steps = train::parse_config(run.config, run.label)->train.steps;
  const auto runs = train::list_runs(folder);
  if (!runs.empty()) {
    state.run = runs.front();
    state.step = last_step(train::RunFolder::open(state.run).metrics());
  }
  if (state.status == "running" && !is_locked(plan.folder)) state.status = "stopped";  // its runner was killed
  return state;
}

int run_sweep(const Plan& plan, const RunnerOptions& options) {
  const auto slots = gpu_slots(options);
  fs::create_directories(plan.folder);
  const train::RunLock lock(plan.folder);
  std::vector<const Run*> runs;
  std::vector<dist::Job> jobs;
  size_t done = 0, failed = 0;
  for (const Run& run : plan.runs) {
    const std::string status = read_state(folder_of(plan, run)).value("status", "waiting");
    if (status == "done") {
      ++done;
    } else if (status == "failed" && !options.retry) {
      ++failed;
    } else {
      runs.push_back(&run);
      jobs.push_back(job_of(plan, run, options.ranks));
    }
  }
  log::info("sweep ", plan.name, ": ", plan.runs.size(), " runs, ", done, " done before, ", failed, " failed before, ",
            jobs.size(), " to do");
  dist::JobOptions how;
  how.at_once = options.jobs;
  if (!slots.empty())
    how.variables = [&slots](int slot) {
      return std::vector<std::pair<std::string, std::string>>{
          {"CUDA_VISIBLE_DEVICES", slots[static_cast<size_t>(slot)]}};
    };
  const auto before = [&](size_t job) { return read_state(folder_of(plan, *runs[job])).value("seconds", 0.0); };
  how.started = [&](size_t job) {
    log::info("started ", runs[job]->id, " ", runs[job]->label, ", seed ", runs[job]->seed);
    write_state(folder_of(plan, *runs[job]), "running", "", before(job));
  };
  how.ended = [&](const dist::JobEnd& end) {
    const Run& run = *runs[end.job];
    const bool stopped =
        end.code == train::kExitInterrupted || end.code == train::kExitTerminated || end.code == train::kExitTimeLimit;
    const char* status = end.code == 0 ? "done" : stopped ? "stopped" : "failed";
    const std::string error = stopped                               ? ""
                              : end.error.empty() && end.code > 128 ? cat("killed by signal ", end.code - 128)
                                                                    : end.error;
    write_state(folder_of(plan, run), status, error, before(end.job) + end.seconds);
    (end.code == 0 ? done : failed) += stopped ? 0 : 1;
    log::info(status, " ", run.id, " ", run.label, ", seed ", run.seed, " after ", human_time(end.seconds), ": ", done,
              " of ", plan.runs.size(), " done", error.empty() ? "" : "; ", error);
  };
  const int stop = dist::run_jobs(jobs, how);
  if (stop != 0) {
    log::info("stopped on request; the same command goes on");
    return stop;
  }
  return done == plan.runs.size() ? 0 : 1;
}

}  // namespace gigacat::sweep
