#include "data/listing.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/provenance.h"

namespace gigacat::data {

namespace {

struct FolderId {
  dev_t device;
  ino_t node;
  bool operator==(const FolderId&) const = default;
};

FolderId folder_id(const fs::path& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) fail("cannot read the folder ", folder.string());
  return {info.st_dev, info.st_ino};
}

bool is_hidden(const std::string& name) { return name.starts_with('.'); }

// A dangling link counts as a sample: reading it fails, and the sample is counted as bad rather than lost in silence.
bool may_be_sample(const fs::directory_entry& entry) {
  std::error_code error;
  if (entry.is_regular_file(error)) return true;
  return entry.is_symlink(error) && !entry.exists(error);
}

class Walker {
 public:
  explicit Walker(const std::function<bool(const std::string&)>& visit) : visit_(visit) {}

  bool run(const fs::path& folder, const std::string& prefix) {
    const FolderId id = folder_id(folder);
    if (std::find(above_.begin(), above_.end(), id) != above_.end()) return false;
    above_.push_back(id);
    std::error_code error;
    fs::directory_iterator entries(folder, error);
    if (error) fail("cannot read the folder ", folder.string(), ": ", error.message());
    for (; entries != fs::directory_iterator(); entries.increment(error)) {
      if (error) fail("cannot read the folder ", folder.string(), ": ", error.message());
      if (enter(*entries, prefix)) return true;
    }
    above_.pop_back();
    return false;
  }

 private:
  bool enter(const fs::directory_entry& entry, const std::string& prefix) {
    const std::string name = entry.path().filename().string();
    if (is_hidden(name)) return false;
    std::error_code error;
    if (entry.is_directory(error)) return run(entry.path(), prefix + name + "/");
    return may_be_sample(entry) && !visit_(prefix + name);
  }

  const std::function<bool(const std::string&)>& visit_;
  std::vector<FolderId> above_;
};

}  // namespace

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

std::string suffix(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.find('/', dot) != std::string_view::npos) return "";
  std::string ending(name.substr(dot + 1));
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return ending;
}

bool is_image(std::string_view name) {
  static constexpr std::array<std::string_view, 5> known = {"jpg", "jpeg", "png", "webp", "bmp"};
  return std::find(known.begin(), known.end(), suffix(name)) != known.end();
}

std::string_view stem(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.find('/', dot) != std::string_view::npos) return name;
  return name.substr(0, dot);
}

bool walk(const fs::path& root, const std::function<bool(const std::string&)>& visit) {
  return Walker(visit).run(root, "");
}

std::vector<std::string> list_files(const fs::path& root, const std::function<bool(std::string_view)>& wanted) {
  std::vector<std::string> names;
  walk(root, [&](const std::string& name) {
    if (wanted(name)) names.push_back(name);
    return true;
  });
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> list_folders(const fs::path& root) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entries(root, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    std::error_code ignored;  // what cannot be looked at is no folder
    if (!is_hidden(name) && entries->is_directory(ignored)) names.push_back(name);
  }
  if (error) fail("cannot read the folder ", root.string(), ": ", error.message());
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_provenance(const fs::path& root) {
  const fs::path file = provenance_file(root);
  return is_file(file) ? read_file(file, 1 << 20) : "";
}

}  // namespace gigacat::data
