// The folder of a run: everything that the run makes.
//
//   OUT/00003-NAME/  config.yaml classes.json run.json log.txt metrics.jsonl events.out.tfevents.* samples/
//                   checkpoints/
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace gigacat::run {

class RunFolder {
 public:
  // A new numbered folder OUT/NNNNN-NAME, created exclusively: never an existing one. Characters of the name that do
  // not suit a path become "-". Errors: Error.
  static RunFolder create(const std::filesystem::path& out, const std::string& name);
  // An existing run. Errors: UsageError when `path` holds no config.yaml (with the runs beside it, if any).
  static RunFolder open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config() const { return path_ / "config.yaml"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path samples() const { return path_ / "samples"; }
  std::filesystem::path log() const { return path_ / "log.txt"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  // run.json; {} when there is none that can be read.
  nlohmann::json info() const;
  // Writes run.json atomically; its list "starts" stays.
  void write_info(nlohmann::ordered_json info) const;
  // Appends to the list "starts" of run.json: how the run was started or gone on with. Adds time and host.
  void add_start(nlohmann::ordered_json start) const;
  // How the last of these ended ("done", "stopped on request") and after which step; one that failed says nothing.
  void note_end(const std::string& how, int64_t step) const;
  // Drops the lines of metrics.jsonl past `step` and any that was cut short, so that the file of a resumed run reads as
  // one run's. Errors: Error; the file then stays as it was.
  void trim_metrics(int64_t step) const;

 private:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// "2026-01-31T12:00:00Z".
std::string utc_now();

// Characters that do not suit a path become "-"; "" becomes "run".
std::string as_file_name(std::string name);

// Whether a folder is a checkpoint (step-N, or a run's `best`): it has a config.yaml too.
bool is_checkpoint(const std::filesystem::path& path);

// The newest run in `out`, of those called `name` unless that is empty; "" when there is none.
std::filesystem::path latest_run(const std::filesystem::path& out, const std::string& name);

// Runs (folders NNNNN-* with a config.yaml) in `out`, newest number first.
std::vector<std::filesystem::path> list_runs(const std::filesystem::path& out);

// Held by the process that writes into a run folder; the system releases it when the process ends, however it ends.
class RunLock {
 public:
  // Errors: UsageError when another process holds the run, naming it.
  explicit RunLock(const RunFolder& folder) : RunLock(folder.path()) {}
  // Of any folder that one process alone may write into.
  explicit RunLock(const std::filesystem::path& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace gigacat::run
