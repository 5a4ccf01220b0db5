// What the results in a folder were made from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace gigacat::upsample {

namespace fs = std::filesystem;

// FOLDER/.upsample.jsonl: a line for each result, with size and time of change of its input; of several lines of a
// result the last counts.
class ResultRecord {
 public:
  // An absent file and damaged lines record nothing. Errors: Error when the file is there and cannot be read.
  explicit ResultRecord(const fs::path& folder);

  // Whether the file at `path` is a recorded result.
  bool holds(const fs::path& path) const;
  // Whether the result `out` is that of the input as it is now: by the record, or, where it says nothing, by being no
  // older. False when there is no such input.
  bool is_current(const fs::path& in, const fs::path& out) const;

  // How a file is at a moment.
  struct Stamp {
    int64_t bytes = -1, modified = 0;  // -1: not there; nanoseconds since 1970
    bool operator==(const Stamp&) const = default;
  };
  static Stamp stamp_of(const fs::path& file);
  // Records the result at `out`; `input` is taken before the input is read. Errors: Error.
  void add(const fs::path& out, const Stamp& input);

 private:
  std::string name_of(const fs::path& out) const;

  fs::path file_, folder_, resolved_;  // the folder as given, and without links
  std::map<std::string, Stamp> inputs_;
  bool is_cut_ = false;  // the file ends within a line
};

}  // namespace gigacat::upsample
