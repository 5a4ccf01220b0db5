#include <cstdlib>
#include <filesystem>

#include "config_internal.h"

namespace gigacat::config {
namespace {

namespace fs = std::filesystem;

bool is_there(const std::string& path) {
  std::error_code error;  // what may not be looked at is not there
  const size_t pattern = path.find_first_of("{*?[");
  if (pattern == std::string::npos || fs::exists(path, error)) return fs::exists(path, error);
  const fs::path folder = fs::path(path.substr(0, pattern)).parent_path();
  return fs::is_directory(folder.empty() ? fs::path(".") : folder, error);
}

}  // namespace

std::string resolve_path(const std::string& text, std::string origin) {
  const char* home = std::getenv("HOME");
  if (home != nullptr && (text == "~" || text.starts_with("~/"))) return home + text.substr(1);
  const bool in_file = take_number(origin) > 0 && take_number(origin) > 0;
  if (!in_file || text.empty() || fs::path(text).is_absolute() || is_there(text)) return text;
  const std::string other = (fs::path(origin).parent_path() / text).string();
  return is_there(other) ? other : text;
}

}  // namespace gigacat::config
