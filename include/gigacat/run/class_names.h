// Names of a model's classes: classes.json in a run folder, in each of its checkpoints, and with exported weights.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace gigacat::run {

// A JSON list of names, that of class 0 first.
inline constexpr const char* kClassFile = "classes.json";

// The names in a folder's classes.json; empty where there is no such file or, with a warning, where it holds
// something else. Errors: Error when it cannot be read.
std::vector<std::string> read_class_names(const std::filesystem::path& folder);
// The file's text. What is no UTF-8 in a name becomes U+FFFD.
std::string to_json(const std::vector<std::string>& names);
// Writes the file atomically, or removes it when there are no names.
void write_class_names(const std::filesystem::path& folder, const std::vector<std::string>& names);

}  // namespace gigacat::run
