// Image folders: class/file or flat.
#include <algorithm>
#include <array>
#include <map>

#include "data/file_source.h"
#include "data/listing.h"
#include "data/sources.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"

namespace gigacat::data {

namespace {

std::string_view first_folder(std::string_view name) {
  const size_t slash = name.find('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

// StudioGAN's layout: train/ and valid/ (or val, test) and nothing else.
fs::path training_part(const fs::path& root) {
  static constexpr std::array<std::string_view, 4> known = {"train", "valid", "val", "test"};
  const std::vector<std::string> folders = list_folders(root);
  const auto is_part = [](const std::string& name) {
    return std::find(known.begin(), known.end(), name) != known.end();
  };
  const bool has_train = std::find(folders.begin(), folders.end(), "train") != folders.end();
  if (!has_train || folders.size() < 2 || !std::all_of(folders.begin(), folders.end(), is_part)) return root;
  log::info("data: ", root.string(), " holds a train folder and others: reading ", (root / "train").string());
  return root / "train";
}

// The names are sorted by bytes, in which "a-b/x" comes before "a/x": classes are numbered by their own order.
std::map<std::string, int32_t, std::less<>> number_classes(const std::vector<std::string>& names) {
  std::map<std::string, int32_t, std::less<>> numbers;
  for (const std::string& name : names) {
    const std::string_view folder = first_folder(name);
    if (!folder.empty() && !numbers.contains(folder)) numbers.emplace(folder, 0);
  }
  int32_t next = 0;
  for (auto& [name, number] : numbers) number = next++;
  return numbers;
}

void label_by_folder(const std::vector<std::string>& names, FileSet& set) {
  const auto numbers = number_classes(names);
  if (numbers.empty()) return;
  for (const auto& [name, number] : numbers) set.classes.push_back(name);
  set.labels.reserve(names.size());
  for (const std::string& name : names) {
    const auto found = numbers.find(first_folder(name));
    set.labels.push_back(found == numbers.end() ? -1 : found->second);
  }
}

void warn_of_empty_classes(const FileSet& set) {
  for (const std::string& folder : list_folders(set.root)) {
    if (!set.classes.empty() && !std::binary_search(set.classes.begin(), set.classes.end(), folder))
      log::warn("data: the folder ", (set.root / folder).string(), " holds no image and is no class");
  }
}

}  // namespace

std::unique_ptr<Source> open_folder(const DataConfig& config) {
  if (!is_folder(config.path)) fail<UsageError>("data.path: ", config.path, " is no folder");
  FileSet set;
  set.root = training_part(config.path);
  const std::vector<std::string> names = list_files(set.root, is_image);
  if (names.empty())
    fail<UsageError>("data.path: no image (.jpg, .jpeg, .png, .webp, .bmp) in ", set.root.string(),
                     " or the folders below it");
  for (const std::string& name : names) set.names.add(name);
  label_by_folder(names, set);
  warn_of_empty_classes(set);
  set.captions = CaptionRule(config);
  set.provenance = read_provenance(set.root);
  return make_file_source(std::move(set));
}

}  // namespace gigacat::data
