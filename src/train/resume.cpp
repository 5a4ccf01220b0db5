#include "train/resume.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/data/source.h"
#include "train/initial_weights.h"

namespace gigacat::train {
namespace {

std::unique_ptr<run::RunConfig> config_at(const fs::path& path) {
  return run::parse_config(read_file(path), path.string());
}

// `key` names a field or a section around it.
bool covers(const std::string& key, const std::string& path) {
  return path == key || (path.size() > key.size() && path.starts_with(key) && path[key.size()] == '.');
}

bool is_allowed(const std::vector<std::string>& allow, const std::string& path) {
  return std::any_of(allow.begin(), allow.end(), [&](const std::string& key) { return covers(key, path); });
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

// Whether one of the processes that restart this launch's ranks has started a rank of the run before.
bool is_of_launch(const run::RunFolder& folder, const std::set<std::string>& agents) {
  const nlohmann::json starts = folder.info().value("starts", nlohmann::json::array());
  for (const auto& start : starts)
    for (const auto& agent : start.value("agents", nlohmann::json::array()))
      if (agents.contains(agent.get<std::string>())) return true;
  return false;
}

// The newest run of this launch with just this config. One without a checkpoint counts: it was ended before its first.
std::optional<run::RunFolder> interrupted_run(const run::RunConfig& config, const std::set<std::string>& agents) {
  if (agents.empty()) return std::nullopt;
  for (const fs::path& path : run::list_runs(config.out)) {
    try {
      const run::RunFolder folder = run::RunFolder::open(path);
      if (is_of_launch(folder, agents) &&
          config::differences(config_at(folder.config())->binder, config.binder, /*skip_free=*/false).empty())
        return folder;
    } catch (const std::exception& error) {  // of another version, or another program's
      log::debug("restart: ", path.string(), " is passed over: ", error.what());
    }
  }
  return std::nullopt;
}

// Ranks of an attempt that has failed may live for a while, one of them with the run's lock.
std::unique_ptr<run::RunLock> lock_after_restart(const run::RunFolder& folder) {
  constexpr auto kPatience = std::chrono::minutes(12);  // longer than a collective's usual timeout
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (bool said = false;; said = true) {
    try {
      return std::make_unique<run::RunLock>(folder);
    } catch (const UsageError& error) {
      if (std::chrono::steady_clock::now() > deadline) throw;
      if (!said) log::info("restart: ", error.what());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

// Returns what changes, or "".
std::string check_data(const run::Checkpoint& checkpoint, const std::string& identity,
                       const std::vector<std::string>& allow) {
  const std::string before = checkpoint.state.at("data").at("identity").get<std::string>();
  if (data::is_same_data(identity, before)) return "";
  const std::string change =
      cat("data: identity ", before.empty() ? "unknown" : before.substr(0, 12), " -> ", identity.substr(0, 12));
  if (before.empty()) {  // imported from a program that keeps none
    log::info("the imported run goes on with the data set ", identity.substr(0, 12));
    return change;
  }
  const bool same_names = identity.substr(0, identity.find('+')) == before.substr(0, before.find('+'));
  if (!is_allowed(allow, "data.path"))
    fail<UsageError>("the data set is not the one that the run began with (",
                     same_names ? "names and sizes are equal, contents are not" : change.substr(6),
                     "); to go on with it: --allow data.path");
  log::warn("the data set is not the one that the run began with");
  return change;
}

// A folder of checkpoints that holds any, finished or not.
bool has_checkpoints(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().filename().string().starts_with("step-")) return true;
  return false;
}

run::Checkpoint read_for_training(const fs::path& path, bool verified) {
  return run::read_checkpoint(
      path, {"generator", "discriminator", "ema", "optimizer_generator", "optimizer_discriminator"}, verified);
}

std::string new_name(const run::RunConfig& config) { return config.name.empty() ? config.recipe_name : config.name; }

RunDirectory begin(const run::RunConfig& config) {
  check_initial_weights(config.train.init);  // before anything is made
  RunDirectory run{run::RunFolder::create(config.out, new_name(config)), nullptr, std::nullopt};
  run.lock = std::make_unique<run::RunLock>(run.folder);
  write_atomically(run.folder.config(), config.to_yaml());
  return run;
}

RunDirectory go_on(const run::RunFolder& folder, std::unique_ptr<run::RunLock> lock, const run::RunConfig& config,
                   const TrainOptions& options, const std::function<std::string()>& data_identity,
                   std::vector<std::string>& changes) {
  RunDirectory run{folder, std::move(lock), std::nullopt, true};
  const auto before = config_at(folder.config());
  check_resumable(config, *before, options.allow);
  changes = config::differences(before->binder, config.binder, /*skip_free=*/false);
  log::open_file(folder.log());  // what is said of broken checkpoints belongs there
  const auto newest = run::newest_good_checkpoint(folder.checkpoints());
  if (newest) {
    run.checkpoint = read_for_training(*newest, /*verified=*/true);
    changes.push_back(check_data(*run.checkpoint, data_identity(), options.allow));
  } else if (has_checkpoints(folder.checkpoints())) {
    fail("no checkpoint in ", folder.checkpoints().string(),
         " can be used (the log says why of each): put an undamaged copy there, or begin a new run");
  }
  return run;
}

// A new run that goes on from a checkpoint.
RunDirectory branch(const fs::path& path, const run::RunConfig& config, const TrainOptions& options,
                    const std::function<std::string()>& data_identity, std::vector<std::string>& changes) {
  const auto before = config_at(path / "config.yaml");
  check_resumable(config, *before, options.allow);
  changes = config::differences(before->binder, config.binder, /*skip_free=*/false);
  run::Checkpoint checkpoint = read_for_training(path, /*verified=*/false);
  changes.push_back(check_data(checkpoint, data_identity(), options.allow));
  RunDirectory run = begin(config);
  run.checkpoint = std::move(checkpoint);
  log::info("a new run from ", path.string());
  return run;
}

}  // namespace

void check_resumable(const run::RunConfig& now, const run::RunConfig& before, const std::vector<std::string>& allow) {
  check_allowed_keys(now.binder, allow);
  std::vector<std::string> refused, keys = allow;
  for (const std::string& line : config::differences(before.binder, now.binder, /*skip_free=*/true)) {
    const std::string path = line.substr(0, line.find(": "));
    if (is_allowed(allow, path)) continue;
    refused.push_back("  " + line);
    keys.push_back(path);
  }
  if (!refused.empty())
    fail<UsageError>("the run cannot go on with another config (run -> now):\n", join(refused, "\n"),
                     "\nif that is meant, add: --allow ", join(keys, ","));
}

RunDirectory open_run(const run::RunConfig& config, const dist::Group& group, const TrainOptions& options,
                      const std::function<std::string()>& data_identity) {
  std::vector<std::string> changes;
  std::optional<RunDirectory> run;
  if (const auto interrupted = interrupted_run(config, group.agents()))
    run = go_on(*interrupted, lock_after_restart(*interrupted), config, options, data_identity, changes);
  else if (options.resume.empty())
    run = begin(config);
  else if (run::is_checkpoint(options.resume))
    run = branch(options.resume, config, options, data_identity, changes);
  else {
    const run::RunFolder old = run::RunFolder::open(options.resume);
    run = go_on(old, std::make_unique<run::RunLock>(old), config, options, data_identity, changes);
  }
  std::erase(changes, "");
  nlohmann::ordered_json start{
      {"command", options.command}, {"ranks", group.size()}, {"step", run->checkpoint ? run->checkpoint->step : 0}};
  if (!options.resume.empty() && !run->resumed) start["from"] = fs::absolute(options.resume).string();
  if (!group.agents().empty()) start["agents"] = group.agents();
  if (!changes.empty()) start["changes"] = changes;
  run->folder.add_start(std::move(start));
  return std::move(*run);
}

}  // namespace gigacat::train
