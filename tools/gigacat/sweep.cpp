// gigacat sweep plan|run|status|report
#include <cstdio>
#include <map>

#include "cli.h"
#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "gigacat/info/describe.h"
#include "gigacat/run/config.h"
#include "gigacat/sweep/report.h"
#include "gigacat/sweep/runner.h"
#include "gigacat/sweep/sweep.h"

namespace gigacat::cli {
namespace {

struct Flags {
  std::filesystem::path file, out = "sweeps";
  sweep::RunnerOptions options;
  std::string gpus, submit;
  std::vector<std::string> slurm;
};

// Parameters and arithmetic of a run.
struct Cost {
  int64_t generator = 0, discriminator = 0, steps = 0, batch = 0;
  double flops = 0;  // of the whole run
};

// The settings that sizes and arithmetic may depend on: networks are built once for each of their values.
std::string size_key(const sweep::Run& run) {
  std::string key;
  for (const auto& [path, value] : run.settings) {
    const bool other = path == "seed" || path.starts_with("optimizer.") || path.starts_with("log.") ||
                       path.starts_with("checkpoint.") || path.starts_with("loss.consistency");
    if (!other) key += path + "=" + value + "\n";
  }
  return key;
}

Cost cost_of(const sweep::Run& run) {
  const auto config = run::parse_config(run.config, run.label);
  const info::ModelReport report = info::describe(*config);
  const auto samples = static_cast<double>(config->train.steps * config->train.batch);
  return {report.generator.parameters, report.discriminator.parameters, config->train.steps, config->train.batch,
          report.step_cost.flops * samples};
}

int print_plan(const Flags& flags) {
  const sweep::Sweep sweep = sweep::read_sweep(flags.file, flags.out);
  std::printf("%s: %zu runs on top of %s, %lld left out; results in %s\n", sweep.title.c_str(), sweep.runs.size(),
              sweep.base.c_str(), static_cast<long long>(sweep.skipped), sweep.folder.c_str());
  std::printf("keys that differ: %s\n\n", join(sweep::varied_keys(sweep)).c_str());
  std::printf("%-12s  %-8s %-8s %7s %6s %9s  %s\n", "id", "G", "D", "steps", "batch", "FLOPs", "run");
  double total = 0;
  std::map<std::string, Cost> known;
  for (const sweep::Run& run : sweep.runs) {
    const auto [found, is_new] = known.try_emplace(size_key(run));
    if (is_new) found->second = cost_of(run);
    const Cost& cost = found->second;
    total += cost.flops;
    std::printf("%-12s  %-8s %-8s %7lld %6lld %9s  %s, seed %lld\n", run.id.c_str(),
                human(static_cast<double>(cost.generator)).c_str(),
                human(static_cast<double>(cost.discriminator)).c_str(), static_cast<long long>(cost.steps),
                static_cast<long long>(cost.batch), human(cost.flops).c_str(), run.label.c_str(),
                static_cast<long long>(run.seed));
  }
  std::printf("\nall runs: %s FLOPs\n", human(total).c_str());
  return kOk;
}

int run(const Flags& flags) {
  sweep::RunnerOptions options = flags.options;
  for (const std::string& gpu : split(flags.gpus, ',')) options.gpus.push_back(trim(gpu));
  const sweep::Sweep sweep = sweep::read_sweep(flags.file, flags.out);
  if (flags.submit == "slurm") {
    const std::vector<std::string> command = {std::filesystem::read_symlink("/proc/self/exe").string(),
                                              "sweep",
                                              "run",
                                              flags.file.string(),
                                              "-o",
                                              flags.out.string()};
    std::printf("%s\n", sweep::submit_to_slurm(sweep, options, command, flags.slurm).c_str());
    return kOk;
  }
  const int code = sweep::run_sweep(sweep, options);
  if (!options.only.empty()) return code;
  sweep::write_report(sweep);
  std::printf("report: %s\n", (sweep.folder / "report.html").c_str());
  return code;
}

// Time that the rest takes at the pace of what is done, or "".
std::string remaining(double seconds, int64_t done, int64_t wanted) {
  if (done == 0 || done >= wanted) return "";
  return human_time(seconds / static_cast<double>(done) * static_cast<double>(wanted - done));
}

int status(const Flags& flags) {
  const sweep::Sweep sweep = sweep::read_sweep(flags.file, flags.out);
  double seconds = 0;
  int64_t done = 0, wanted = 0;
  std::printf("%-12s  %-8s %15s %10s  %s\n", "id", "status", "steps", "time", "run");
  for (const sweep::Run& run : sweep.runs) {
    const sweep::RunState state = sweep::state_of(sweep, run);
    if (state.status == "done") {  // of those under way the time is not known yet
      seconds += state.seconds;
      done += state.steps;
    }
    wanted += state.steps;
    std::printf("%-12s  %-8s %15s %10s  %s, seed %lld%s\n", run.id.c_str(), state.status.c_str(),
                cat(state.step, " of ", state.steps).c_str(),
                state.seconds > 0 ? human_time(state.seconds).c_str() : "", run.label.c_str(),
                static_cast<long long>(run.seed), state.error.empty() ? "" : cat(": ", state.error).c_str());
  }
  const std::string rest = remaining(seconds, done, wanted);
  std::printf("\n%lld of %lld steps done%s\n", static_cast<long long>(done), static_cast<long long>(wanted),
              rest.empty() ? "" : cat(", ", rest, " to go with one job").c_str());
  return kOk;
}

int report(const Flags& flags) {
  const sweep::Sweep sweep = sweep::read_sweep(flags.file, flags.out);
  const auto folder = sweep::write_report(sweep);
  std::fputs(sweep::to_markdown(sweep, sweep::read_results(sweep)).c_str(), stdout);
  std::printf("\nreport: %s/report.{md,csv,html}\n", folder.c_str());
  return kOk;
}

CLI::App* add(CLI::App& group, Chosen& chosen, const std::string& name, const std::string& help,
              const std::shared_ptr<Flags>& flags, int (*body)(const Flags&)) {
  CLI::App* command = add_command(group, name, help, "gigacat sweep " + name + " configs/sweeps/cat-small.yaml");
  command->add_option("SWEEP", flags->file, "sweep file")->type_name("")->required();
  command->add_option("-o,--out", flags->out, "folder of all sweeps' results")->type_name("OUT")->capture_default_str();
  command->callback([flags, body, &chosen] { chosen = [flags, body] { return body(*flags); }; });
  return command;
}

}  // namespace

void add_sweep(CLI::App& app, Chosen& chosen) {
  CLI::App* group = add_command(app, "sweep", "many runs that differ in some keys, and their table",
                                "gigacat sweep run configs/sweeps/cat-small.yaml --jobs 2");
  group->require_subcommand(1);
  const auto flags = std::make_shared<Flags>();
  add(*group, chosen, "plan", "print the runs, the keys they differ in, and their cost", flags, print_plan);
  CLI::App* command = add(*group, chosen, "run", "train the runs that are not done, then write the report", flags, run);
  add_count(*command, "--jobs", flags->options.jobs, 1024, "runs at once", "Processes");
  add_count(*command, "--ranks", flags->options.ranks, 1024, "processes of a run", "Processes");
  command->add_option("--gpus", flags->gpus, "GPUs to use, as 0,1,2,3; each job gets one for each of its ranks")
      ->type_name("LIST")
      ->group("Processes");
  command->add_flag("--retry", flags->options.retry, "run failed runs once more")->group("Processes");
  command->add_flag("--all", flags->options.all, "also train runs that halving has pruned to their end")
      ->group("Processes");
  command->add_option("--only", flags->options.only, "only this run, by its id")->type_name("ID")->group("Processes");
  command->add_option("--submit", flags->submit, "submit the runs to a cluster as a job array, --jobs at once: slurm")
      ->type_name("slurm")
      ->check(CLI::IsMember({"slurm"}))
      ->group("Processes");
  command->add_option("--slurm", flags->slurm, "an option for sbatch, as --gpus=4; may be repeated")
      ->type_name("OPTION")
      ->allow_extra_args(false)
      ->group("Processes");
  add(*group, chosen, "status", "state of each run", flags, status);
  add(*group, chosen, "report", "Markdown, CSV and one HTML page", flags, report);
}

}  // namespace gigacat::cli
