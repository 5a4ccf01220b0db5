#include "gigacat/run/class_names.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "gigacat/core/files.h"
#include "gigacat/core/log.h"

namespace gigacat::run {
namespace {

constexpr uint64_t kMostClassNames = 64 << 20;  // bytes of the file

}  // namespace

std::vector<std::string> read_class_names(const fs::path& folder) {
  const fs::path file = folder / kClassFile;
  if (!fs::exists(file)) return {};
  const auto names = nlohmann::json::parse(read_file(file, kMostClassNames), nullptr, /*allow_exceptions=*/false);
  const auto is_text = [](const nlohmann::json& name) { return name.is_string(); };
  if (!names.is_array() || !std::all_of(names.begin(), names.end(), is_text)) {
    log::warn(file.string(), " holds no list of names: classes go by their numbers");
    return {};
  }
  return names.get<std::vector<std::string>>();
}

// Names of folders need not be UTF-8, which JSON is.
std::string to_json(const std::vector<std::string>& names) {
  return nlohmann::json(names).dump(1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace) + "\n";
}

void write_class_names(const fs::path& folder, const std::vector<std::string>& names) {
  if (!names.empty())
    write_atomically(folder / kClassFile, to_json(names));
  else
    fs::remove(folder / kClassFile);
}

}  // namespace gigacat::run
