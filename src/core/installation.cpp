#include "gigacat/core/installation.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"

namespace gigacat {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_directory(path, ignored);
}

fs::path without_configs(const fs::path& file) {
  return !file.empty() && *file.begin() == "configs" ? file.lexically_relative("configs") : file;
}

}  // namespace

fs::path share_folder() {
  std::vector<fs::path> candidates;
  if (const char* given = std::getenv("GIGACAT_SHARE"); given != nullptr && *given != '\0') candidates = {given};
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  if (candidates.empty() && !program.empty())
    candidates = {program.parent_path() / "share/gigacat", program.parent_path().parent_path().parent_path()};
  const auto found = std::ranges::find_if(
      candidates, [&](const fs::path& folder) { return fs::is_directory(folder / "configs", ignored); });
  return found == candidates.end() ? fs::path() : *found;
}

std::vector<fs::path> preset_files() {
  std::vector<fs::path> files;
  const fs::path configs = share_folder() / "configs";
  std::error_code failure;
  for (fs::recursive_directory_iterator at(configs, failure), end; !failure && at != end; at.increment(failure))
    if (at->path().extension() == ".yaml") files.push_back(at->path().lexically_relative(configs));
  std::ranges::sort(files);
  return files;
}

fs::path find_config(const fs::path& file) {
  if (is_file(file)) return file;
  std::error_code ignored;
  if (fs::is_directory(file, ignored)) fail<UsageError>(file.string(), " is a folder; give a config file");
  const fs::path share = share_folder(), name = without_configs(file);
  if (!share.empty() && file.is_relative())
    for (const char* ending : {"", ".yaml"})
      if (const fs::path preset = share / "configs" / (name.string() + ending); is_file(preset)) return preset;
  std::vector<std::string> presets;
  for (const fs::path& preset : preset_files()) presets.push_back(preset.string());
  const std::string near = nearest(name.string(), presets);
  fail<UsageError>("no config ", file.string(), ": no such file seen from ", fs::current_path().string(),
                   ", and no preset of that name",
                   near.empty() ? "; `gigacat config list` names them" : "; did you mean " + near + "?");
}

}  // namespace gigacat
