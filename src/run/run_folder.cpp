#include "gigacat/run/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/host.h"
#include "gigacat/core/log.h"

namespace gigacat::run {
namespace {

constexpr int64_t kMostRuns = 100'000;  // numbers have five digits

// NNNNN of a folder called NNNNN-NAME, or -1.
int64_t run_number(const fs::path& folder) {
  const std::string name = folder.filename().string();
  const bool numbered = name.size() > 6 && name[5] == '-' &&
                        std::all_of(name.begin(), name.begin() + 5, [](unsigned char c) { return std::isdigit(c); });
  return numbered ? std::stoll(name.substr(0, 5)) : -1;
}

std::string folder_name(int64_t number, const std::string& name) {
  const std::string digits = std::to_string(number);
  return std::string(5 - std::min<size_t>(5, digits.size()), '0') + digits + "-" + name;
}

int64_t highest_number(const fs::path& out) {
  int64_t highest = -1;
  for (const auto& entry : fs::directory_iterator(out)) highest = std::max(highest, run_number(entry.path()));
  return highest;
}

}  // namespace

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string as_file_name(std::string name) {
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && !std::strchr("._-+=", c)) c = '-';
  return name.empty() ? "run" : name;
}

bool is_checkpoint(const fs::path& path) { return fs::exists(path / "COMMIT") || fs::exists(path / "state.json"); }

fs::path latest_run(const fs::path& out, const std::string& name) {
  for (const fs::path& run : list_runs(out))
    if (name.empty() || run.filename().string().substr(6) == as_file_name(name)) return run;
  return {};
}

RunFolder RunFolder::create(const fs::path& out, const std::string& name) {
  std::error_code error;
  fs::create_directories(out, error);
  if (error) fail("cannot make the folder of runs ", out.string(), ": ", error.message());
  for (int64_t number = highest_number(out) + 1; number < kMostRuns; ++number) {
    const fs::path path = out / folder_name(number, as_file_name(name));
    // Another process may take the number in between: only the one whose mkdir succeeds owns it.
    const bool made = fs::create_directory(path, error);
    if (error) fail("cannot make the run folder ", path.string(), ": ", error.message());
    if (!made) continue;
    fs::create_directory(path / "checkpoints");
    fs::create_directory(path / "samples");
    return RunFolder(path);
  }
  fail(out.string(), " holds run number ", kMostRuns - 1, " already: choose another `out`");
}

RunFolder RunFolder::open(const fs::path& path) {
  if (!fs::exists(path / "config.yaml")) {
    auto runs = list_runs(path);
    if (runs.empty()) runs = list_runs(path.parent_path().empty() ? "." : path.parent_path());
    std::vector<std::string> names;
    for (const fs::path& run : runs)
      if (names.size() < 5) names.push_back(run.string());
    const std::string hint = names.empty() ? "" : cat("; runs there: ", join(names));
    fail<UsageError>(path.string(), " is no run folder (no config.yaml in it)", hint);
  }
  return RunFolder(path);
}

nlohmann::json RunFolder::info() const {
  const fs::path file = path_ / "run.json";
  if (!fs::exists(file)) return nlohmann::json::object();
  auto info = nlohmann::json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  return info.is_object() ? info : nlohmann::json::object();
}

void RunFolder::write_info(nlohmann::ordered_json info) const {
  const nlohmann::json before = this->info();
  if (!info.contains("starts") && before.contains("starts")) info["starts"] = before["starts"];
  write_atomically(path_ / "run.json", info.dump(2) + "\n");
}

void RunFolder::add_start(nlohmann::ordered_json start) const {
  start["time"] = utc_now();
  start["host"] = host_name();
  nlohmann::ordered_json info = this->info();
  info["starts"].push_back(std::move(start));
  write_info(std::move(info));
}

void RunFolder::note_end(const std::string& how, int64_t step) const {
  nlohmann::ordered_json info = this->info();
  if (!info.contains("starts") || info["starts"].empty()) return;
  info["starts"].back()["end"] = {{"how", how}, {"step", step}, {"time", utc_now()}};
  write_info(std::move(info));
}

void RunFolder::trim_metrics(int64_t step) const {
  if (!fs::exists(metrics())) return;
  std::istringstream lines(read_file(metrics()));
  std::string kept;
  int64_t dropped = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto figures = nlohmann::json::parse(line, nullptr, false);
    const bool whole = figures.is_object() && figures.contains("step") && figures["step"].is_number();
    if (whole && figures["step"].get<int64_t>() <= step)
      kept += line + "\n";
    else
      ++dropped;
  }
  if (dropped == 0) return;
  write_atomically(metrics(), kept);
  log::info("metrics.jsonl: dropped ", dropped, " lines past step ", step, ", which the run goes through again");
}

std::vector<fs::path> list_runs(const fs::path& out) {
  std::vector<fs::path> runs;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(out, error))
    if (run_number(entry.path()) >= 0 && fs::exists(entry.path() / "config.yaml")) runs.push_back(entry.path());
  std::sort(runs.begin(), runs.end(), [](const fs::path& a, const fs::path& b) {
    return std::pair(run_number(a), a) > std::pair(run_number(b), b);
  });
  return runs;
}

RunLock::RunLock(const fs::path& folder) {
  const fs::path path = folder / ".lock";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("cannot open ", path.string(), ": ", std::strerror(errno));
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) {
    const std::string owner = cat("process ", ::getpid(), "\n");
    if (::ftruncate(fd_, 0) != 0 || ::write(fd_, owner.data(), owner.size()) < 0)
      log::warn("cannot write the owner into ", path.string(), ": ", std::strerror(errno));
    return;
  }
  if (errno != EWOULDBLOCK) {  // some network file systems have no locks
    log::warn("cannot lock ", path.string(), ": ", std::strerror(errno),
              "; take care that one process alone uses the run");
    return;
  }
  ::close(fd_);
  fail<UsageError>(folder.string(), " is in use by ", trim(read_file(path)),
                   ": wait for it, or start a run of its own");
}

RunLock::~RunLock() { ::close(fd_); }

}  // namespace gigacat::run
