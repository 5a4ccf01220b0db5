#include "train/resume.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"

namespace gigacat::train {
namespace {

std::unique_ptr<run::RunConfig> config_of(const run::RunFolder& folder) {
  return run::parse_config(read_file(folder.config()), folder.config().string());
}

// `key` names a field or a section around it.
bool covers(const std::string& key, const std::string& path) {
  return path == key || (path.size() > key.size() && path.starts_with(key) && path[key.size()] == '.');
}

void check_allowed_keys(const config::Binder& binder, const std::vector<std::string>& allow) {
  std::vector<std::string> paths;
  for (const config::Field& field : binder.fields()) paths.push_back(field.path);
  for (const std::string& key : allow) {
    const bool known =
        std::any_of(paths.begin(), paths.end(), [&](const std::string& path) { return covers(key, path); });
    if (known) continue;
    const std::string near = nearest(key, paths);
    fail<UsageError>("--allow ", key, ": no such key", near.empty() ? "" : cat("; did you mean ", near, "?"));
  }
}

// The newest run of just this config. One without a checkpoint counts: it was ended before its first.
std::optional<run::RunFolder> interrupted_run(const run::RunConfig& config) {
  for (const fs::path& path : run::list_runs(config.out)) {
    try {
      const run::RunFolder folder = run::RunFolder::open(path);
      if (config::differences(config_of(folder)->binder, config.binder, /*skip_free=*/false).empty()) return folder;
    } catch (const UsageError& error) {  // of another version, or another program's
      log::debug("restart: ", path.string(), " is passed over: ", error.what());
    }
  }
  return std::nullopt;
}

void check_data(const run::Checkpoint& checkpoint, const std::string& identity, const std::vector<std::string>& allow) {
  const std::string before = checkpoint.state.at("data").at("identity").get<std::string>();
  if (before == identity) return;
  if (before.empty()) {  // imported from another program, which does not tell
    log::info("the imported run goes on with the data set ", identity.substr(0, 12));
    return;
  }
  const bool allowed =
      std::any_of(allow.begin(), allow.end(), [](const std::string& key) { return covers(key, "data.path"); });
  if (!allowed)
    fail<UsageError>("the data set is not the one that the run began with (identity ", identity.substr(0, 12),
                     ", then ", before.substr(0, 12), "): --allow data.path lets it change");
  log::warn("the data set is not the one that the run began with");
}

RunPlace go_on(const run::RunFolder& folder, const run::RunConfig& config, const TrainOptions& options,
               const std::function<std::string()>& data_identity) {
  RunPlace place{folder, std::make_unique<run::RunLock>(folder), std::nullopt, true};
  check_resumable(config, *config_of(folder), options.allow);
  log::open_file(folder.log());  // what is said of broken checkpoints belongs there
  if (const auto newest = run::newest_good_checkpoint(folder.checkpoints())) {
    place.checkpoint = run::read_checkpoint(
        *newest, {"generator", "discriminator", "ema", "optimizer_generator", "optimizer_discriminator"},
        /*verified=*/true);
    check_data(*place.checkpoint, data_identity(), options.allow);
  }
  return place;
}

}  // namespace

void check_resumable(const run::RunConfig& now, const run::RunConfig& before, const std::vector<std::string>& allow) {
  check_allowed_keys(now.binder, allow);
  std::vector<std::string> refused;
  for (const std::string& line : config::differences(before.binder, now.binder, /*skip_free=*/true)) {
    const std::string path = line.substr(0, line.find(": "));
    const bool allowed =
        std::any_of(allow.begin(), allow.end(), [&](const std::string& key) { return covers(key, path); });
    if (!allowed) refused.push_back("  " + line);
  }
  if (!refused.empty())
    fail<UsageError>("the run cannot go on with another config (run -> now); --allow KEY lets a key change:\n",
                     join(refused, "\n"));
}

RunPlace open_run(const run::RunConfig& config, const dist::Environment& environment, const TrainOptions& options,
                  const std::function<std::string()>& data_identity) {
  std::optional<run::RunFolder> old;
  if (!options.resume.empty()) old = run::RunFolder::open(options.resume);
  if (!old && environment.restart > 0) old = interrupted_run(config);
  RunPlace place = old ? go_on(*old, config, options, data_identity)
                       : RunPlace{run::RunFolder::create(config.out, config.name.empty() ? config.recipe_name : config.name),
                                  nullptr, std::nullopt, false};
  if (!place.lock) place.lock = std::make_unique<run::RunLock>(place.folder);
  if (!place.resumed) write_atomically(place.folder.config(), config.to_yaml());
  return place;
}

}  // namespace gigacat::train
