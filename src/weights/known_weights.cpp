#include "gigacat/weights/known_weights.h"

#include <cstdlib>
#include <mutex>
#include <set>

#include "gigacat/core/cache.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "weights/download.h"

namespace gigacat::weights {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path record_path(const WeightFile& file) { return weight_path(file).string() + ".sha256"; }

std::string recorded_hash(const WeightFile& file) {
  const fs::path path = record_path(file);
  return fs::exists(path) ? trim(read_file(path, 4096)).substr(0, 64) : "";
}

std::string url_of(const WeightFile& file) {
  const std::string mirror = variable("GIGACAT_WEIGHTS_MIRROR");
  if (mirror.empty()) return file.url;
  return mirror + (mirror.back() == '/' ? "" : "/") + file.file;
}

std::string by_hand(const WeightFile& file) {
  return cat("\n  without a network: fetch ", file.url, " elsewhere and put it at ", weight_path(file).string(),
             "\n  on a cluster: GIGACAT_WEIGHTS_MIRROR=https://server/folder takes ", file.file, " from there");
}

// The part's hash against the published or recorded one. Errors: Error; the part is gone then.
void check_part(const WeightFile& file, const fs::path& part) {
  const auto size = static_cast<int64_t>(fs::file_size(part));
  std::string fault;
  if (file.bytes > 0 && size != file.bytes) fault = cat(size, " bytes came instead of ", file.bytes);
  const std::string wanted = file.sha256.empty() ? recorded_hash(file) : file.sha256;
  const std::string found = fault.empty() ? sha256_file(part) : "";
  if (fault.empty() && !found.starts_with(wanted)) fault = cat("its SHA-256 is ", found, " instead of ", wanted);
  if (fault.empty()) {
    if (file.sha256.empty() && wanted.empty()) {
      write_atomically(record_path(file), found + "  " + file.file + "\n");
      log::warn(file.file, ": no hash is published; ", found, " is recorded and checked from now on");
    }
    return;
  }
  fs::remove(part);
  fail("what came from ", url_of(file), " is not ", file.name, ": ", fault,
       "; it was thrown away. Try again, or a mirror", by_hand(file));
}

}  // namespace

fs::path weight_folder() {
  const fs::path cache = cache_folder();
  if (cache.empty()) fail<UsageError>("no cache folder: set GIGACAT_CACHE");
  return cache / "weights";
}

fs::path weight_path(const WeightFile& file) { return weight_folder() / file.file; }

Verdict verify(const WeightFile& file, bool record) {
  const fs::path path = weight_path(file);
  if (!fs::exists(path)) return {};
  Verdict verdict{WeightState::whole, sha256_file(path), file.sha256};
  if (file.sha256.empty()) {
    verdict.wanted = recorded_hash(file);
    verdict.state = verdict.wanted.empty() ? WeightState::unseen : WeightState::recorded;
    if (verdict.wanted.empty() && record) {
      write_atomically(record_path(file), verdict.sha256 + "  " + file.file + "\n");
      verdict.wanted = verdict.sha256;
      verdict.state = WeightState::recorded;
    }
  }
  if (!verdict.sha256.starts_with(verdict.wanted)) verdict.state = WeightState::wrong;
  return verdict;
}

fs::path download(const WeightFile& file, const DownloadOptions& options) {
  const fs::path path = weight_path(file);
  const Verdict there = verify(file, /*record=*/true);
  if (there.state == WeightState::whole || there.state == WeightState::recorded) return path;
  if (there.state == WeightState::wrong)
    log::warn(path.string(), " has the SHA-256 ", there.sha256, " instead of ", there.wanted, " and is fetched anew");
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) fail("cannot make the cache folder ", path.parent_path().string(), ": ", error.message());
  const fs::path part = path.string() + ".part";
  try {
    fetch(url_of(file), part, file.name, options);
  } catch (const Error& failure) {
    fail(failure.what(), by_hand(file));
  }
  check_part(file, part);
  fs::rename(part, path);
  sync_folder(path.parent_path());
  return path;
}

fs::path locate(const std::string& name_or_path) {
  if (fs::exists(name_or_path)) return name_or_path;
  if (name_or_path.find('/') != std::string::npos) fail<UsageError>("no weight file at ", name_or_path);
  const WeightFile& file = find_weight_file(name_or_path);
  static std::mutex mutex;
  static std::set<fs::path> checked;
  const std::lock_guard lock(mutex);
  const fs::path path = weight_path(file);
  if (checked.contains(path)) return path;
  const Verdict verdict = verify(file, /*record=*/true);
  if (verdict.state == WeightState::missing)
    fail("the weights '", file.name, "' are not there: gigacat weights get ", file.name, by_hand(file));
  if (verdict.state == WeightState::wrong)
    fail(path.string(), " is not ", file.name, ": its SHA-256 is ", verdict.sha256, " instead of ", verdict.wanted,
         "; gigacat weights get ", file.name, " fetches it anew");
  checked.insert(path);
  return path;
}

}  // namespace gigacat::weights
