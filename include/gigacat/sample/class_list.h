// Which classes a user asks for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gigacat::sample {

// What a generator can be asked for: nothing, one of `count` classes, or texts, of which it has `count` ready.
struct Conditions {
  int64_t count = 1;
  bool is_text = false;
  std::vector<std::string> names;  // of classes, that of class 0 first; empty: not known

  bool has_classes() const { return !is_text && count > 1; }
  // The name of a class; "" where it has none.
  std::string name_of(int64_t label) const;
};

// Numbers of the classes that `text` lists, as "0,2-4", by their names, as "horse,ship", or both mixed. What is a
// number or a range of the model's classes is read as that, whatever the names are; a name may hold commas. Errors:
// UsageError, which begins with `option`, for a model without classes or of text, a class that is not there (with the
// name most like it), and an empty list.
std::vector<int64_t> parse_classes(const std::string& text, const std::string& option, const Conditions& of);

}  // namespace gigacat::sample
