// gigacat train
#include "gigacat/train/trainer.h"

#include <algorithm>
#include <cstdio>

#include "cli.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/core/text.h"
#include "gigacat/run/run_folder.h"
#include "launch.h"
#include "terminal.h"

namespace gigacat::cli {
namespace {

struct Flags {
  std::vector<std::string> words;  // CONFIG.yaml and overrides
  std::string resume;
  std::vector<std::string> allow;
  bool dry_run = false;
  int world = 1, ranks = 1, max_restarts = 0, min_ranks = 0;
};

bool is_latest(const Flags& flags) { return flags.resume == "latest" && !fs::exists(flags.resume); }

// `--resume latest` of a config: its newest run, or a new one. The same command then starts a run and goes on with it.
void find_latest(Flags& flags, const run::RunConfig& config) {
  const std::string name = config.name.empty() ? config.recipe_name : config.name;
  flags.resume = run::latest_run(config.out, name).string();
  if (flags.resume.empty()) log::info("no run ", name, " in ", config.out, " yet: a new one begins");
}

// `--resume latest` by itself.
void find_latest(Flags& flags, const std::vector<std::string>& overrides) {
  std::string out = "runs";
  for (const std::string& item : overrides)
    if (item.starts_with("out=")) out = item.substr(4);
  flags.resume = run::latest_run(out, "").string();
  if (flags.resume.empty()) fail<UsageError>("--resume latest: no run in ", out, "; out=FOLDER looks elsewhere");
}

// The first word is the config unless it is an override.
std::unique_ptr<run::RunConfig> read_config(Flags& flags) {
  std::vector<std::string> overrides = flags.words;
  std::string file;
  if (!overrides.empty() && overrides.front().find('=') == std::string::npos) {
    file = overrides.front();
    overrides.erase(overrides.begin());
  }
  check_overrides(overrides);
  if (!file.empty()) {
    auto config = run::load_config(file, overrides);
    if (is_latest(flags)) find_latest(flags, *config);
    return config;
  }
  if (flags.resume.empty()) fail<UsageError>("no config: gigacat train CONFIG.yaml, or gigacat train --resume RUN");
  if (is_latest(flags)) find_latest(flags, overrides);
  const fs::path from = flags.resume;
  const auto config = run::is_checkpoint(from) ? from / "config.yaml" : run::RunFolder::open(from).config();
  return run::parse_config(read_file(config), config.string(), overrides);
}

// The most ranks below `ranks`, and not below `least`, among which the batch can be split; else as many.
int fewer_ranks(const run::RunConfig& config, int ranks, int least) {
  for (int fewer = ranks - 1; fewer >= least; --fewer)
    if (config.batch_fault(fewer).empty()) return fewer;
  return ranks;
}

int run(Flags& flags) {
  const dist::Environment environment = dist::Environment::detect();
  // A config that cannot run is said once, before any process is started.
  const auto config = read_config(flags);
  if (flags.dry_run) {
    std::fputs(train::dry_run(*config, std::max(flags.world, flags.ranks), !flags.resume.empty()).c_str(), stdout);
    return kOk;
  }
  if (is_parent(flags.ranks, environment, flags.max_restarts)) {
    config->micro_batch(flags.ranks);  // refuses a batch that cannot be split so
    const int least = flags.min_ranks > 0 ? flags.min_ranks : flags.ranks;
    return launch(flags.ranks, flags.max_restarts, [&](int ranks) { return fewer_ranks(*config, ranks, least); });
  }
  train::TrainOptions options;
  options.resume = flags.resume;
  options.allow = flags.allow;
  options.command = "gigacat " + join(own_arguments(), " ");
  if (shows_images())
    options.show_samples = [&](const std::vector<io::Image>& samples) {
      show_images(samples, std::max<int64_t>(std::ssize(samples), config->log.sample_count));
    };
  return train::train(*config, environment, options);
}

}  // namespace

void add_train(CLI::App& app, Chosen& chosen) {
  CLI::App* command = add_command(app, "train", "train a model from a config",
                                  "gigacat train configs/quickstart/emoji-cat.yaml train.steps=600 --ranks 2");
  auto flags = std::make_shared<Flags>();
  command->add_option("CONFIG", flags->words, "config file or preset, then values that override it, as train.batch=64")
      ->type_name("");
  command
      ->add_option(
          "--resume", flags->resume,
          "go on with a run (latest: with the newest), or from a checkpoint in a new run; without CONFIG, with "
          "its own config")
      ->type_name("RUN|CHECKPOINT|latest")
      ->group("Resuming");
  command->add_option("--allow", flags->allow, "keys whose values may differ from the run's own, as a,b")
      ->type_name("KEY")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->group("Resuming");
  command->add_flag("-n,--dry-run", flags->dry_run, "check config, data, shapes and memory; train nothing")
      ->group("Checking");
  add_count(*command, "--world", flags->world, 1 << 20, "ranks to check for", "Checking");
  add_count(*command, "--ranks", flags->ranks, 1024, "processes to start on this machine", "Processes");
  add_count(*command, "--max-restarts", flags->max_restarts, 1 << 20,
            "start all processes again, from the last checkpoint, when one has failed: at most so often", "Processes");
  add_count(*command, "--min-ranks", flags->min_ranks, 1024, "a restart takes one process fewer, down to so many",
            "Processes");
  command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace gigacat::cli
