// Small helpers on text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace gigacat {

// Joins the arguments as operator<< prints them.
template <class... Args>
std::string cat(const Args&... args) {
  std::ostringstream out;
  (static_cast<void>(out << args), ...);
  return out.str();
}

// Items with `separator` between them.
template <class Range>
std::string join(const Range& items, std::string_view separator = ", ") {
  std::ostringstream out;
  bool first = true;
  for (const auto& item : items) {
    if (!first) out << separator;
    out << item;
    first = false;
  }
  return out.str();
}

// The first `most` items and how many more there are: "a, b and 7 more".
std::string join_first(const std::vector<std::string>& items, size_t most);

// Pieces of `text` between separators; an empty text gives no piece.
std::vector<std::string> split(std::string_view text, char separator);

// `text` without white space at both ends.
std::string trim(std::string_view text);

// Of `candidates` the one with the smallest edit distance to `word`, or "" when none is near (distance over a third of
// the word's length, and over 2).
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// 1234567 -> "1.23 M": three digits and a decimal prefix (k, M, G, T, P).
std::string human(double value);

// Bytes with binary prefixes: 1536 -> "1.50 KiB".
std::string human_bytes(double bytes);

// Seconds as "1h 02m 03s", "2m 03s", "3.2 s".
std::string human_time(double seconds);

// Whole text as an integer, or an Error that names `what`.
int64_t parse_int(std::string_view text, std::string_view what);

// Lists of non-negative integers as users write them: "0,1,4-6" -> {0, 1, 4, 5, 6}.
// Errors: UsageError for anything else, for ranges that run backwards and for more than `most` values.
std::vector<int64_t> parse_ranges(std::string_view text, std::string_view what, size_t most = 10'000'000);

}  // namespace gigacat
