// Classes by the folders that files lie in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gigacat::data {

struct ClassFolders {
  std::vector<std::string> classes;  // sorted by bytes; empty when no file lies in a folder
  std::vector<int32_t> labels;       // one for each name, -1 for files in no folder; empty when there are no classes
};

// Of each name ("class/file", "class/more/file") the first folder below `root`, which is "" or ends with "/".
ClassFolders label_by_folder(const std::vector<std::string>& names, std::string_view root = "");

// The folders that all names lie in, "" or with "/" at the end.
std::string shared_folder(const std::vector<std::string>& names);

}  // namespace gigacat::data
