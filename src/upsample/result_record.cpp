#include "upsample/result_record.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "gigacat/core/files.h"
#include "gigacat/core/text.h"

namespace gigacat::upsample {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMostRecord = 4ull << 30;

}  // namespace

ResultRecord::ResultRecord(const fs::path& folder)
    : file_(folder / ".upsample.jsonl"), folder_(folder), resolved_(fs::weakly_canonical(folder)) {
  if (!fs::exists(file_)) return;
  const std::string text = read_file(file_, kMostRecord);
  is_cut_ = !text.empty() && text.back() != '\n';
  for (const std::string& line : split(text, '\n')) {
    const Json entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object() || !entry.contains("result") || !entry["result"].is_string()) continue;
    const Json bytes = entry.value("bytes", Json()), modified = entry.value("modified", Json());
    if (bytes.is_number_integer() && modified.is_number_integer())
      inputs_[entry["result"]] = {bytes.get<int64_t>(), modified.get<int64_t>()};
  }
}

std::string ResultRecord::name_of(const fs::path& out) const {
  return out.lexically_normal().lexically_relative(folder_.lexically_normal()).generic_string();
}

bool ResultRecord::holds(const fs::path& path) const {
  return inputs_.contains(fs::weakly_canonical(path).lexically_relative(resolved_).generic_string());
}

bool ResultRecord::is_current(const fs::path& in, const fs::path& out) const {
  const Stamp input = stamp_of(in);
  if (input.bytes < 0) return false;
  const auto found = inputs_.find(name_of(out));
  return found != inputs_.end() ? found->second == input : stamp_of(out).modified >= input.modified;
}

ResultRecord::Stamp ResultRecord::stamp_of(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return {};
  return {static_cast<int64_t>(info.st_size), int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

void ResultRecord::add(const fs::path& out, const Stamp& input) {
  inputs_[name_of(out)] = input;
  const Json entry = {{"result", name_of(out)}, {"bytes", input.bytes}, {"modified", input.modified}};
  // A name need not be UTF-8; one that is not is found by its age.
  const std::string line = entry.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  FileWriter writer(file_, /*append=*/true);
  writer.write((is_cut_ ? "\n" : "") + line + "\n");
  writer.flush();
  is_cut_ = false;
}

}  // namespace gigacat::upsample
