// What a data set's folder says of itself: how it was made, and the names of its classes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace gigacat::data {

// Text of ROOT/provenance.json (core/provenance.h), or "".
std::string read_provenance(const std::filesystem::path& root);

// Whether such a text says that the data are latents.
bool says_latents(const std::string& provenance);

// File with the names of the classes, one a line in the order of their numbers.
inline constexpr const char* kClassFile = "classes.txt";

// The names in the text of such a file. Empty lines at the end are no classes.
std::vector<std::string> parse_class_names(std::string_view text);

// Those of ROOT/classes.txt; none when there is no such file.
std::vector<std::string> read_class_names(const std::filesystem::path& root);

}  // namespace gigacat::data
