#include "gigacat/run/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/nn/state.h"
#include "gigacat/run/class_names.h"

namespace gigacat::run {
namespace {

constexpr std::string_view kPrefix = "step-";
constexpr const char* kCommit = "COMMIT";
constexpr uint64_t kMostText = 64 << 20;  // bytes of COMMIT, state.json, config.yaml

// Step of a folder called step-N, or -1.
int64_t step_of(const fs::path& checkpoint) {
  const std::string name = checkpoint.filename().string();
  if (!name.starts_with(kPrefix)) return -1;
  int64_t step = -1;
  const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
  return error == std::errc() && end == name.data() + name.size() ? step : -1;
}

std::string hex(uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", value);
  return text;
}

// What is wrong with one file that COMMIT lists, or "".
std::string verify_file(const fs::path& file, const nlohmann::json& entry) {
  const std::string name = file.filename().string();
  const bool complete = entry.is_object() && entry.contains("size") && entry["size"].is_number_unsigned() &&
                        entry.contains("crc32c") && entry["crc32c"].is_string();
  if (!complete) return cat("COMMIT says nothing sensible of ", name);
  std::error_code error;
  const uintmax_t size = fs::file_size(file, error);
  if (error) return cat(name, " is missing");
  const auto wanted = entry["size"].get<uint64_t>();
  if (size != wanted) return cat(name, " has ", size, " bytes instead of ", wanted);
  if (file_checksum(file) != entry["crc32c"].get<std::string>()) return cat("the checksum of ", name, " differs");
  return "";
}

// COMMIT as JSON; `fault` says why it cannot be used.
nlohmann::json read_commit(const fs::path& checkpoint, std::string& fault) {
  if (!fs::exists(checkpoint / kCommit)) {
    fault = "it was never finished (no COMMIT)";
    return {};
  }
  auto commit = nlohmann::json::parse(read_file(checkpoint / kCommit, kMostText), nullptr, false);
  const bool usable = commit.is_object() && commit.contains("files") && commit["files"].is_object() &&
                      commit["files"].contains("state.json") && commit.contains("step") &&
                      commit["step"].is_number_integer();
  if (!usable)
    fault = "COMMIT is damaged";
  else if (const int64_t step = commit["step"].get<int64_t>(); step_of(checkpoint) >= 0 && step != step_of(checkpoint))
    fault = cat("COMMIT speaks of step ", step);
  return commit;
}

}  // namespace

std::vector<int64_t> list_checkpoints(const fs::path& folder) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (step_of(entry.path()) >= 0 && fs::exists(entry.path() / kCommit)) steps.push_back(step_of(entry.path()));
  std::sort(steps.begin(), steps.end());
  return steps;
}

fs::path checkpoint_path(const fs::path& folder, int64_t step) {
  const std::string digits = std::to_string(step);
  return folder / cat(kPrefix, std::string(7 - std::min<size_t>(7, digits.size()), '0'), digits);
}

std::string file_checksum(const fs::path& file) {
  const MappedFile mapped(file);
  return hex(crc32c(mapped.bytes()));
}

std::string recorded_checksum(const fs::path& checkpoint, const std::string& file) {
  std::string fault;
  const nlohmann::json commit = read_commit(checkpoint, fault);
  if (!fault.empty() || !commit["files"].contains(file)) fail(checkpoint.string(), ": COMMIT says nothing of ", file);
  return commit["files"][file].at("crc32c").get<std::string>();
}

std::string verify_checkpoint(const fs::path& checkpoint, const std::vector<std::string>& files) {
  try {
    std::string fault;
    const nlohmann::json commit = read_commit(checkpoint, fault);
    if (!fault.empty()) return fault;
    for (const std::string& name : files)
      if (!commit["files"].contains(name)) return cat("it has no ", name);
    const auto is_wanted = [&](const std::string& name) {
      return files.empty() || !name.ends_with(".safetensors") ||
             std::find(files.begin(), files.end(), name) != files.end();
    };
    for (const auto& [name, entry] : commit["files"].items())
      if (is_wanted(name) && !(fault = verify_file(checkpoint / name, entry)).empty()) return fault;
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::optional<fs::path> newest_good_checkpoint(const fs::path& folder, const std::vector<std::string>& files) {
  std::vector<fs::path> candidates;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (step_of(entry.path()) >= 0) candidates.push_back(entry.path());
  std::sort(candidates.begin(), candidates.end(),
            [](const fs::path& a, const fs::path& b) { return step_of(a) > step_of(b); });
  for (const fs::path& candidate : candidates) {
    const std::string fault = verify_checkpoint(candidate, files);
    if (fault.empty()) return candidate;
    log::warn("checkpoint ", candidate.string(), " is not used: ", fault, "; going back to the one before");
  }
  return std::nullopt;
}

Checkpoint read_checkpoint(const fs::path& checkpoint, const std::vector<std::string>& stems, bool verified) {
  const std::string fault = verified ? "" : verify_checkpoint(checkpoint);
  if (!fault.empty()) fail("checkpoint ", checkpoint.string(), " cannot be used: ", fault);
  Checkpoint read;
  read.state = nlohmann::json::parse(read_file(checkpoint / "state.json", kMostText));
  read.config_yaml = read_file(checkpoint / "config.yaml", kMostText);
  read.class_names = read_class_names(checkpoint);
  read.step = read.state.at("step").get<int64_t>();
  std::vector<std::string> wanted = stems;
  if (wanted.empty())
    for (const auto& entry : fs::directory_iterator(checkpoint))
      if (entry.path().extension() == ".safetensors") wanted.push_back(entry.path().stem().string());
  for (const std::string& stem : wanted) read.tensors[stem] = nn::read_tensors(checkpoint / (stem + ".safetensors"));
  return read;
}

}  // namespace gigacat::run
