// What the sources of the config share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gigacat/core/config.h"

namespace gigacat::config {

// Text from outside for an error: in quotes, cut short, control characters escaped.
std::string shown(std::string_view text);

// Sets the field to the entry's value when it is right; otherwise leaves it and returns what is wrong.
std::vector<Problem> set_value(Field& field, const Entry& entry);

// "a whole number", "a list of numbers", ...
std::string type_name(const Storage& value);

// "at least 1", "0 to 1", "fp32, bf16" or "".
std::string limits(const Field& field);

// What is wrong with the value that the field has now, or "".
std::string out_of_limits(const Field& field);

// First byte that UTF-8 text cannot hold, or npos.
size_t first_bad_byte(std::string_view text);

// What keeps `text` from being one YAML document; an empty reason when nothing does.
struct Fault {
  std::string place;  // "LINE:COLUMN"
  std::string reason;
};
Fault find_fault(std::string_view text);

// `text` with its variables replaced.
struct Expansion {
  std::string text;
  bool replaced = false;  // a variable stood in it
  std::string problem;    // or what is wrong with it
};
Expansion expand_environment(std::string_view text);

// Removes ":NUMBER" from the end of an origin FILE:LINE:COLUMN and returns it; 0 when there is none.
int64_t take_number(std::string& origin);

// Unit of text fields that name files.
inline constexpr std::string_view kPathUnit = "path";

// The value of such a field as the user wrote it at `origin`, made one that can be opened: "~" is the home folder; a
// relative path of a config file that is not there from the working directory, but is from the file's folder, begins
// with that folder. Of a pattern the part before its first brace or wildcard decides.
std::string resolve_path(const std::string& text, std::string origin);

// Place that a complaint about `path` should point at, or "".
std::string telling_origin(const Binder& binder, std::string_view path, std::string_view reason);

// In the order of files and lines, one a line. Errors: always a UsageError.
[[noreturn]] void throw_problems(std::vector<Problem> problems);

}  // namespace gigacat::config
