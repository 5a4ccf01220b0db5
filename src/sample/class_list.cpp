#include "gigacat/sample/class_list.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include "gigacat/core/error.h"

namespace gigacat::sample {
namespace {

constexpr size_t kMostNamed = 10;  // of the model's classes in an error

bool looks_like_numbers(const std::string& piece) {
  return !piece.empty() && piece.find_first_not_of("0123456789- ") == std::string::npos;
}

// Classes of a piece such as "3" or "4-6"; nothing when it is no such piece or goes beyond the last class.
std::optional<std::vector<int64_t>> numbers_in(const std::string& piece, int64_t count) {
  if (!looks_like_numbers(piece)) return std::nullopt;
  try {
    std::vector<int64_t> values = parse_ranges(piece, "");
    if (values.back() < count) return values;
  } catch (const Error&) {  // refuse() says it, where it is no name either
  }
  return std::nullopt;
}

std::optional<int64_t> named(const std::string& name, const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), name);
  return name.empty() || found == names.end() ? std::nullopt : std::optional<int64_t>(found - names.begin());
}

std::ptrdiff_t most_commas(const std::vector<std::string>& names) {
  std::ptrdiff_t most = 0;
  for (const std::string& name : names) most = std::max(most, std::count(name.begin(), name.end(), ','));
  return most;
}

[[noreturn]] void refuse(const std::string& piece, const std::string& option, const Conditions& of) {
  if (looks_like_numbers(piece)) {
    const int64_t most = parse_ranges(piece, option).back();
    fail<UsageError>(option, ": class ", most, " is not there: the model has ", of.count, " classes, 0..",
                     of.count - 1);
  }
  if (of.names.empty())
    fail<UsageError>(option, ": \"", piece,
                     "\" is no number of a class, and the names of this model's classes are not ",
                     "known: write numbers in 0..", of.count - 1, ", as 0,2-4");
  const std::string near = nearest(piece, of.names);
  const bool few = of.names.size() <= kMostNamed;
  fail<UsageError>(option, ": no class is called \"", piece, "\"",
                   !near.empty() ? cat("; did you mean ", near, "?")
                   : few         ? cat("; there are ", join(of.names))
                                 : "; gigacat info names them");
}

}  // namespace

std::string Conditions::name_of(int64_t label) const {
  return !has_classes() || label >= std::ssize(names) ? "" : names[static_cast<size_t>(label)];
}

std::vector<int64_t> parse_classes(const std::string& text, const std::string& option, const Conditions& of) {
  if (of.is_text) fail<UsageError>(option, ": this is a model of text, it has no classes: give --prompt");
  if (!of.has_classes()) fail<UsageError>(option, ": this model has no classes: leave the option out");
  const std::vector<std::string> pieces = split(text, ',');
  const std::ptrdiff_t most = 1 + most_commas(of.names);
  std::vector<int64_t> labels;
  for (size_t i = 0; i < pieces.size();) {
    const std::string piece = trim(pieces[i]);
    if (const auto numbers = numbers_in(piece, of.count)) {
      labels.insert(labels.end(), numbers->begin(), numbers->end());
      ++i;
      continue;
    }
    std::optional<int64_t> label;
    const auto first = pieces.begin() + static_cast<std::ptrdiff_t>(i);
    std::ptrdiff_t used = std::min(most, pieces.end() - first) + 1;
    while (!label && --used > 0) label = named(trim(join(std::span(first, first + used), ",")), of.names);
    if (!label) refuse(piece, option, of);
    if (*label >= of.count) refuse(std::to_string(*label), option, of);
    labels.push_back(*label);
    i += static_cast<size_t>(used);
  }
  if (labels.empty()) fail<UsageError>(option, " names no class: give all, or a list such as 0,1,4-6");
  return labels;
}

}  // namespace gigacat::sample
