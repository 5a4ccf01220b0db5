// Files below a folder, by name.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace gigacat::data {

namespace fs = std::filesystem;

// Whether a file or folder is there; false too for what may not be looked at.
bool is_file(const fs::path& path);
bool is_folder(const fs::path& path);

// Ending of a file name after its last dot, in lower case, without the dot.
std::string suffix(std::string_view name);
// Whether a name ends like an image that can be decoded.
bool is_image(std::string_view name);
// `name` up to the last dot of its last component.
std::string_view stem(std::string_view name);

// Calls `visit` with the path relative to `root` ("/" between components) of each file below it, until it returns
// false. Hidden names and devices are left out, links to folders followed unless they lead back to a folder above.
// Returns whether it was stopped. Errors: Error when a folder cannot be read.
bool walk(const fs::path& root, const std::function<bool(const std::string&)>& visit);

// Relative paths of the files below `root` that `wanted` accepts, sorted by bytes.
std::vector<std::string> list_files(const fs::path& root, const std::function<bool(std::string_view)>& wanted);

// Visible folders directly in `root`, sorted.
std::vector<std::string> list_folders(const fs::path& root);

// Text of ROOT/provenance.json (core/provenance.h), or "".
std::string read_provenance(const fs::path& root);

}  // namespace gigacat::data
