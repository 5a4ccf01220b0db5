// The folder of a run: everything that the run makes.
//
//   OUT/00003-NAME/  config.yaml run.json log.txt metrics.jsonl events.out.tfevents.* samples/ checkpoints/
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace gigacat::train {

class RunFolder {
 public:
  // A new numbered folder OUT/NNNNN-NAME, created exclusively: never an existing one. Errors: Error.
  static RunFolder create(const std::filesystem::path& out, const std::string& name);
  // An existing run. Errors: UsageError when `path` holds no config.yaml (with the runs beside it, if any).
  static RunFolder open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config() const { return path_ / "config.yaml"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path samples() const { return path_ / "samples"; }
  std::filesystem::path log() const { return path_ / "log.txt"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  // Writes run.json atomically.
  void write_info(const nlohmann::json& info) const;

 private:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace gigacat::train
