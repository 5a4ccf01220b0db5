// gigacat info
#include <cstdio>

#include "cli.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/info/cluster_plan.h"
#include "gigacat/info/describe.h"
#include "gigacat/run/class_names.h"
#include "gigacat/run/config.h"
#include "gigacat/run/run_folder.h"
#include "gigacat/run/weight_source.h"

namespace gigacat::cli {
namespace {

struct Flags {
  std::string what, plan;
  std::vector<std::string> overrides;
};

fs::path config_of(const fs::path& what) {
  if (fs::is_regular_file(what))
    return what.extension() == ".safetensors" ? run::find_weights(what, "ema").config : what;
  if (fs::exists(what / "COMMIT")) return what / "config.yaml";
  if (fs::is_directory(what)) return run::RunFolder::open(what).config();
  fail<UsageError>("nothing at ", what.string(), ": give a config, a checkpoint folder or a run folder");
}

int run(const Flags& flags) {
  check_overrides(flags.overrides);
  const fs::path file = config_of(flags.what);
  const auto config = run::load_config(file, flags.overrides);
  std::printf("%s, recipe %s\n", flags.what.c_str(), config->recipe_name.c_str());
  const bool planned = !flags.plan.empty();
  const info::MachinePlan machine =
      planned ? info::parse_plan(flags.plan, config->train.precision) : info::MachinePlan{};
  info::ModelReport report = info::describe(*config);
  if (file.filename() == "config.yaml") report.class_names = run::read_class_names(fs::absolute(file).parent_path());
  std::fputs(info::to_text(report).c_str(), stdout);
  if (planned) std::printf("\n%s", info::to_text(info::plan(*config, report, machine), *config).c_str());
  return kOk;
}

}  // namespace

void add_info(CLI::App& app, Chosen& chosen) {
  CLI::App* command = add_command(app, "info", "parameters, arithmetic and memory of a config, a checkpoint or a run",
                                  "gigacat info configs/gat/imagenet256-b-2.yaml train.batch=64");
  auto flags = std::make_shared<Flags>();
  command->add_option("WHAT", flags->what, "config, checkpoint folder or run folder")->type_name("")->required();
  add_overrides(*command, flags->overrides);
  command
      ->add_option(
          "--plan", flags->plan,
          "estimate memory, step time and gradient exchange on a machine: gpus=64,profile=h100 (or a100), and any "
          "of its figures, as utilisation=0.3")
      ->type_name("KEY=VALUE,...");
  command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace gigacat::cli
