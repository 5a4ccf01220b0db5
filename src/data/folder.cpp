// Image folders: class/file or flat.
#include <algorithm>
#include <array>

#include "data/about.h"
#include "data/class_folders.h"
#include "data/file_source.h"
#include "data/left_out.h"
#include "data/sources.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace {

// Whether the images lie in train/ and valid/ (or test, ...) and nowhere else, as StudioGAN and others have them: these
// are parts of a data set and no classes.
bool is_split(const ClassFolders& folders) {
  static constexpr std::array<std::string_view, 8> known = {"dev",   "eval", "test",       "testing",
                                                            "train", "val",  "validation", "valid"};
  const std::vector<std::string>& classes = folders.classes;
  const auto is_part = [](const std::string& name) {
    return std::find(known.begin(), known.end(), name) != known.end();
  };
  const bool all_in_folders = std::find(folders.labels.begin(), folders.labels.end(), -1) == folders.labels.end();
  return classes.size() > 1 && all_in_folders && std::binary_search(classes.begin(), classes.end(), "train") &&
         std::all_of(classes.begin(), classes.end(), is_part);
}

void warn_of_empty_classes(const FileSet& set) {
  for (const std::string& folder : io::list_folders(set.root)) {
    if (!set.classes.empty() && !std::binary_search(set.classes.begin(), set.classes.end(), folder))
      log::warn("data: the folder ", (set.root / folder).string(), " holds no image and is no class");
  }
}

// A folder around the folders of the classes makes one class of all.
void warn_of_one_class(const FileSet& set, const std::vector<std::string>& names) {
  if (set.classes.size() != 1) return;
  const std::string only = set.classes.front();
  const bool all_in_it =
      std::all_of(names.begin(), names.end(), [&](const std::string& name) { return name.starts_with(only + "/"); });
  const size_t inner = all_in_it ? label_by_folder(names, only + "/").classes.size() : 0;
  if (inner > 1)
    log::warn("data: ", set.root.string(), " is one class, \"", only, "\"; for the ", inner,
              " folders in it as classes give data.path=", (set.root / only).string());
}

}  // namespace

std::unique_ptr<Source> open_folder(const DataConfig& config) {
  if (!io::is_folder(config.path)) fail<UsageError>("data.path: ", config.path, " is no folder");
  FileSet set;
  set.root = config.path;
  std::vector<std::string> names = list_images(set.root, set.left_out);
  if (is_split(label_by_folder(names))) {
    set.root /= "train";
    log::info("data: ", config.path, " holds a train folder and others: reading ", set.root.string());
    set.left_out.clear();
    names = list_images(set.root, set.left_out);
  }
  if (names.empty())
    fail<UsageError>("data.path: no image (.jpg, .jpeg, .png, .webp, .bmp) in ", set.root.string(),
                     " or the folders below it", set.left_out.empty() ? "" : "; " + set.left_out.front().text());
  for (const std::string& name : names) set.names.add(name);
  ClassFolders folders = label_by_folder(names);
  set.classes = std::move(folders.classes);
  set.labels = std::move(folders.labels);
  set.format = set.classes.empty() ? "folder of images without classes"
                                   : cat("folder of images, ", set.classes.size(), " classes by folder");
  warn_of_empty_classes(set);
  warn_of_one_class(set, names);
  set.captions = CaptionRule(config);
  set.provenance = read_provenance(set.root);
  return make_file_source(std::move(set));
}

}  // namespace gigacat::data
