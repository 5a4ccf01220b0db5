#include "data/class_folders.h"

#include <algorithm>
#include <map>

namespace gigacat::data {

namespace {

std::string_view first_folder(std::string_view name, std::string_view root) {
  name.remove_prefix(root.size());
  const size_t slash = name.find('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

}  // namespace

// The names are sorted by bytes, in which "a-b/x" comes before "a/x": classes are numbered by their own order.
ClassFolders label_by_folder(const std::vector<std::string>& names, std::string_view root) {
  std::map<std::string, int32_t, std::less<>> numbers;
  for (const std::string& name : names) {
    const std::string_view folder = first_folder(name, root);
    if (!folder.empty() && !numbers.contains(folder)) numbers.emplace(folder, 0);
  }
  ClassFolders found;
  for (auto& [name, number] : numbers) {
    number = static_cast<int32_t>(found.classes.size());
    found.classes.push_back(name);
  }
  if (numbers.empty()) return found;
  found.labels.reserve(names.size());
  for (const std::string& name : names) {
    const auto number = numbers.find(first_folder(name, root));
    found.labels.push_back(number == numbers.end() ? -1 : number->second);
  }
  return found;
}

std::string shared_folder(const std::vector<std::string>& names) {
  if (names.empty()) return "";
  std::string common = names.front().substr(0, names.front().rfind('/') + 1);
  for (const std::string& name : names) {
    while (!name.starts_with(common)) {
      common.pop_back();
      common.resize(common.rfind('/') + 1);
    }
  }
  return common;
}

}  // namespace gigacat::data
