#include "gigacat/core/resumable_folder.h"

#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kMostBytes = 1ull << 30;

std::string short_text(const ordered_json& value) {
  const std::string text = value.dump();
  return text.size() <= 80 ? text : text.substr(0, 77) + "...";
}

}  // namespace

ordered_json read_json_file(const fs::path& file) {
  if (!fs::exists(file)) return nullptr;
  ordered_json value = ordered_json::parse(read_file(file, kMostBytes), nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? ordered_json(nullptr) : value;
}

ResumableFolder::ResumableFolder(fs::path folder, fs::path settings, ResumableFolderRules rules)
    : folder_(std::move(folder)), settings_(folder_ / settings), rules_(std::move(rules)) {}

void ResumableFolder::prepare(const ordered_json& settings) const { prepare(settings, nullptr); }

void ResumableFolder::prepare(const ordered_json& settings, const ordered_json& finished) const {
  std::error_code problem;
  fs::create_directories(folder_, problem);
  if (!fs::is_directory(folder_))
    fail<UsageError>("cannot make the folder ", folder_.string(), ": ", problem.message());
  remove_stale_temporaries(folder_);
  const bool is_there = fs::exists(settings_);
  const ordered_json before = is_there ? read_json_file(settings_) : finished;
  if (is_there && !before.is_object())
    fail<UsageError>(settings_.string(), " is not the settings of such a folder: choose another folder");
  if (before.is_null() && !rules_.accepts_others && !fs::is_empty(folder_))
    fail<UsageError>(folder_.string(), " holds files that this command did not make (no ",
                     settings_.lexically_relative(folder_).string(), "): choose another folder");
  for (const auto& [key, value] : settings.items()) {
    if (before.is_null() || rules_.free.contains(key)) continue;
    const ordered_json old = before.value(key, ordered_json());
    if (key == rules_.growing && old.is_number()) {
      if (old > value)
        fail<UsageError>(folder_.string(), " has ", key, " ", old.dump(), ", more than the ", value.dump(),
                         " asked for: choose another folder");
    } else if (old != value) {
      fail<UsageError>(folder_.string(), " was made with other settings (", key, ": ",
                       old.is_null() ? "none" : short_text(old), " -> ", short_text(value), "): choose another folder");
    }
  }
  if (!is_there && !finished.is_null()) return;
  fs::create_directories(settings_.parent_path());
  write_atomically(settings_, settings.dump(1) + "\n");
}

fs::path ResumableFolder::note_file(const std::string& part) const {
  return settings_.parent_path() / (part + ".json");
}

ordered_json ResumableFolder::note(const std::string& part) const { return read_json_file(note_file(part)); }

void ResumableFolder::write_note(const std::string& part, const ordered_json& note) const {
  write_atomically(note_file(part), note.dump() + "\n");
}

void ResumableFolder::remove_notes() const {
  if (settings_.parent_path() != folder_) fs::remove_all(settings_.parent_path());
}

}  // namespace gigacat
