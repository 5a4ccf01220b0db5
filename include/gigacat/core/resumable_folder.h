// A folder that a command fills, and that an interrupted call of the same settings continues.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

namespace gigacat {

struct ResumableFolderRules {
  std::set<std::string> free;   // settings that may differ
  std::string growing;          // a number that may be larger than before, never smaller
  bool accepts_others = false;  // the folder may hold files that the command did not make
};

// The folder with its settings file and the notes beside it.
class ResumableFolder {
 public:
  // `settings`: the file that keeps them, relative to `folder`: "samples.json", ".encode/settings.json".
  ResumableFolder(std::filesystem::path folder, std::filesystem::path settings, ResumableFolderRules rules = {});

  // Makes the folder, or accepts one of the same settings. `finished`: those of a finished set, which has no settings
  // file any more; null: none. Errors: UsageError naming what differs, or that the folder holds other files.
  void prepare(const nlohmann::ordered_json& settings, const nlohmann::ordered_json& finished) const;
  void prepare(const nlohmann::ordered_json& settings) const;

  // The note of a part that is done, beside the settings; null while it is not. Errors: Error.
  nlohmann::ordered_json note(const std::string& part) const;
  void write_note(const std::string& part, const nlohmann::ordered_json& note) const;
  // Removes the folder of settings and notes, when that is not the folder itself.
  void remove_notes() const;
  const std::filesystem::path& path() const { return folder_; }

 private:
  std::filesystem::path note_file(const std::string& part) const;
  std::filesystem::path folder_, settings_;
  ResumableFolderRules rules_;
};

// A JSON file; null when it is not there or is damaged. Errors: Error when it cannot be read.
nlohmann::ordered_json read_json_file(const std::filesystem::path& file);

}  // namespace gigacat
