#include "gigacat/io/folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>

#include "gigacat/core/error.h"
#include "gigacat/core/log.h"

namespace gigacat::io {

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

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

// Windows and macOS write some of these names in more than one way.
bool is_leftover_name(std::string_view name) {
  static constexpr std::array<std::string_view, 13> known = {"thumbs.db",
                                                             "ehthumbs.db",
                                                             "desktop.ini",
                                                             "icon\r",
                                                             "__macosx",
                                                             "__pycache__",
                                                             "@eadir",
                                                             "#recycle",
                                                             "@recycle",
                                                             "lost+found",
                                                             "$recycle.bin",
                                                             "recycler",
                                                             "system volume information"};
  if (name.starts_with('.')) return true;
  return std::find(known.begin(), known.end(), lower(name)) != known.end();
}

struct Entry {
  std::string name;
  bool folder = false;
};

// A dangling link counts as a file: reading it fails, and the sample is counted as bad rather than lost in silence.
bool is_readable(const fs::directory_entry& entry) {
  std::error_code error;
  if (entry.is_regular_file(error)) return true;
  return entry.is_symlink(error) && !entry.exists(error);
}

// What a folder holds, in the order of names.
struct Content {
  std::vector<Entry> entries;
  bool upsampled = false, sampled = false, run = false, config = false;  // marks of gigacat's own results
  bool is_result() const { return upsampled || sampled || (run && config); }
};

// Other programs have a samples.json too.
bool is_list_of_samples(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string head(size_t{1} << 14, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  return head.find("\"weights_crc32c\"") != std::string::npos;
}

Content read_folder(const fs::path& folder) {
  Content content;
  std::error_code error;
  fs::directory_iterator at(folder, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    std::string name = at->path().filename().string();
    content.upsampled |= name == ".upsample.json";
    content.sampled |= name == "samples.json" && is_list_of_samples(at->path());
    content.run |= name == "run.json";
    content.config |= name == "config.yaml";
    if (is_leftover_name(name)) continue;
    std::error_code unknown;  // what cannot be looked at is no folder
    const bool is_directory = at->is_directory(unknown);
    if (is_directory || is_readable(*at)) content.entries.push_back({std::move(name), is_directory});
  }
  if (error) fail("cannot read the folder ", folder.string(), ": ", error.message());
  std::sort(content.entries.begin(), content.entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return content;
}

class Walker {
 public:
  Walker(const std::function<bool(const std::string&)>& visit, const WalkOptions& options)
      : visit_(visit), options_(options) {
    for (const fs::path& folder : options.except) {
      if (is_folder(folder)) except_.push_back(folder_id(folder));
    }
  }

  bool run(const fs::path& folder, const std::string& prefix) {
    const FolderId id = folder_id(folder);
    if (contains(above_, id) || (!prefix.empty() && contains(except_, id))) return false;
    const Content content = read_folder(folder);
    if (!prefix.empty() && content.is_result()) {
      if (options_.results != nullptr) options_.results->push_back(prefix.substr(0, prefix.size() - 1));
      return false;
    }
    above_.push_back(id);
    for (const Entry& entry : content.entries) {
      const std::string name = prefix + entry.name;
      if (entry.folder ? run(folder / entry.name, name + "/") : !visit_(name)) return true;
    }
    above_.pop_back();
    return false;
  }

 private:
  static bool contains(const std::vector<FolderId>& ids, const FolderId& id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  }

  const std::function<bool(const std::string&)>& visit_;
  const WalkOptions& options_;
  std::vector<FolderId> above_, except_;
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
  return lower(name.substr(dot + 1));
}

bool is_image(std::string_view name) {
  static constexpr std::array<std::string_view, 7> known = {"jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp"};
  return std::find(known.begin(), known.end(), suffix(name)) != known.end();
}

bool is_unread_image(std::string_view name) {
  static constexpr std::array<std::string_view, 28> known = {
      "gif", "tif", "tiff", "avif", "heic", "heif", "jxl", "jp2", "j2k", "jpx", "psd", "svg",  "ppm", "pgm",
      "pbm", "pnm", "tga",  "exr",  "hdr",  "ico",  "raw", "cr2", "nef", "arw", "dng", "apng", "pcx", "dds"};
  return std::find(known.begin(), known.end(), suffix(name)) != known.end();
}

std::string_view stem(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.find('/', dot) != std::string_view::npos) return name;
  return name.substr(0, dot);
}

bool is_leftover(std::string_view path) {
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    if (is_leftover_name(name)) return true;
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return false;
}

bool walk(const fs::path& root, const std::function<bool(const std::string&)>& visit, const WalkOptions& options) {
  return Walker(visit, options).run(root, "");
}

std::vector<std::string> list_files(const fs::path& root, const std::function<bool(std::string_view)>& wanted,
                                    std::vector<fs::path> except) {
  std::vector<std::string> names, results;
  const auto take = [&](const std::string& name) {
    if (wanted(name)) names.push_back(name);
    return true;
  };
  walk(root, take, {.except = std::move(except), .results = &results});
  for (const std::string& folder : results)
    log::info((root / folder).string(), " holds results of gigacat and is not read; name it itself to read it");
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> list_folders(const fs::path& root) {
  std::vector<std::string> names;
  for (const Entry& entry : read_folder(root).entries) {
    if (entry.folder) names.push_back(entry.name);
  }
  return names;
}

}  // namespace gigacat::io
