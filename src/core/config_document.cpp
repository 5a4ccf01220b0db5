// YAML files, their includes and the command line's overrides to one flat list of entries.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>

#include "config_internal.h"
#include "gigacat/core/files.h"
#include "gigacat/core/installation.h"

namespace gigacat::config {
namespace {

constexpr uint64_t kLargestFile = uint64_t{1} << 20;
constexpr size_t kMostFiles = 64;
constexpr int kMostLevels = 64;
constexpr size_t kLongestKey = 200;
constexpr size_t kBudget = size_t{8} << 20;  // bytes of values, aliases written out
constexpr size_t kNodeCost = 40;             // what a value takes besides its text

// Relative to the including file, or a preset: files of one's own can include presets wherever those are installed.
fs::path included_file(const fs::path& folder, const std::string& name) {
  std::error_code ignored;
  const fs::path beside = folder / name, share = share_folder(), preset = share / "configs" / name;
  const bool is_preset = !share.empty() && !fs::exists(beside, ignored) && fs::is_regular_file(preset, ignored);
  return is_preset ? preset : beside;
}

std::string child(const std::string& path, const std::string& key) { return path.empty() ? key : path + "." + key; }

}  // namespace

// Reads one or several sources; later ones win.
class DocumentReader {
 public:
  void read_file(const fs::path& file, const std::string& included_at);
  void read_text(std::string_view text, const std::string& name, const fs::path& folder);
  void read_override(std::string_view text);
  // Errors: UsageError after a mistake that leaves too little to go on with.
  Document finish(const std::string& name);

 private:
  // What is being read.
  struct Source {
    std::string name;                         // of the file; "" on the command line
    fs::path folder;                          // that includes are relative to
    std::map<std::string, std::string> seen;  // path -> place, for duplicates
    std::string origin(const YAML::Mark& mark) const;
  };

  void stop(const std::string& origin, const std::string& reason);
  void give_up(const std::string& origin, const std::string& reason);
  bool spend(size_t bytes, const std::string& origin);
  void read_root(const YAML::Node& root, Source& source);
  void read_includes(const YAML::Node& value, const Source& source, const std::string& origin);
  void read_map(const YAML::Node& map, const std::string& path, Source& source, int level);
  std::string read_key(const YAML::Node& key, const Source& source, const std::string& path);
  void read_value(const YAML::Node& node, const std::string& path, const std::string& key_origin, Source& source,
                  int level);
  void read_items(const YAML::Node& list, Entry& entry, const Source& source);
  void refuse_tag(const YAML::Node& node, const std::string& path, const std::string& origin);
  Scalar read_scalar(const YAML::Node& node, const std::string& path, const std::string& origin);
  void put(Entry entry, Source& source);

  std::map<std::string, Entry> entries_;
  std::vector<Problem> problems_;
  std::vector<std::pair<fs::path, std::string>> stack_;  // files being read: canonical path, name
  size_t files_ = 0, budget_ = kBudget;
  bool stopped_ = false;
};

std::string DocumentReader::Source::origin(const YAML::Mark& mark) const {
  return name.empty() ? "command line" : cat(name, ":", mark.line + 1, ":", mark.column + 1);
}

void DocumentReader::stop(const std::string& origin, const std::string& reason) {
  problems_.push_back({origin, "", reason});
  stopped_ = true;
}

// After values that would go on without end.
void DocumentReader::give_up(const std::string& origin, const std::string& reason) {
  if (budget_ > 0) stop(origin, reason);
  budget_ = 0;
}

bool DocumentReader::spend(size_t bytes, const std::string& origin) {
  const size_t cost = bytes + kNodeCost;
  if (cost <= budget_) {
    budget_ -= cost;
    return true;
  }
  give_up(origin, "values, with aliases written out, take more than 8 MiB");
  return false;
}

void DocumentReader::read_file(const fs::path& file, const std::string& included_at) {
  const std::string name = file.lexically_normal().string();
  std::error_code unreadable;  // then opening it below says why
  const fs::path canonical = fs::weakly_canonical(file, unreadable);
  const auto open = std::ranges::find(stack_, canonical, &std::pair<fs::path, std::string>::first);
  if (open != stack_.end()) {
    std::vector<std::string> circle;
    for (auto at = open; at != stack_.end(); ++at) circle.push_back(at->second);
    return stop(included_at, cat("files include each other in a circle: ", join(circle, " -> "), " -> ", name));
  }
  if (++files_ > kMostFiles) return stop(included_at, cat("more than ", kMostFiles, " files are included"));
  std::string text;
  try {
    text = gigacat::read_file(file, kLargestFile);
  } catch (const Error& error) {
    return stop(included_at, error.what());
  }
  stack_.emplace_back(canonical, name);
  read_text(text, name, file.parent_path());
  stack_.pop_back();
}

void DocumentReader::read_text(std::string_view text, const std::string& name, const fs::path& folder) {
  // Marks count from after a byte order mark.
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (const Fault fault = find_fault(text); !fault.reason.empty()) {
    return stop(cat(name, ":", fault.place), fault.reason);
  }
  Source source{name, folder, {}};
  read_root(YAML::Load(std::string(text)), source);
}

void DocumentReader::read_override(std::string_view text) {
  Source source;
  const size_t equals = text.find('=');
  const std::string path = trim(text.substr(0, equals));
  if (equals == std::string_view::npos || path.empty()) {
    problems_.push_back({"command line", "", cat(shown(text), ": write path=value")});
    return;
  }
  const std::string value = trim(text.substr(equals + 1));
  if (first_bad_byte(text) != std::string_view::npos) {
    problems_.push_back({"command line", path, "not UTF-8 text"});
    return;
  }
  // As YAML a glob (*.tar) would be an alias and "a: b" a section: such values are taken as they stand.
  const bool is_yaml = !value.empty() && std::string_view("[{\"'").find(value[0]) != std::string_view::npos;
  if (const Fault fault = find_fault(is_yaml ? value : ""); !fault.reason.empty()) {
    problems_.push_back({"command line", path, fault.reason});
    return;
  }
  YAML::Node node = is_yaml ? YAML::Load(value) : YAML::Node(value);
  if (value == "null" || value == "~") node = YAML::Node();
  if (value.empty()) node.SetTag("!");
  read_value(node, path, "command line", source, 0);
}

void DocumentReader::read_root(const YAML::Node& root, Source& source) {
  if (root.IsNull()) return;
  if (!root.IsMap()) return stop(source.origin(root.Mark()), "expected keys with values, as in \"seed: 1\"");
  // First, so that this file's own values win.
  for (const auto& pair : root) {
    const bool include = pair.first.IsScalar() && pair.first.Scalar() == "include";
    if (include) read_includes(pair.second, source, source.origin(pair.first.Mark()));
  }
  read_map(root, "", source, 0);
}

void DocumentReader::read_includes(const YAML::Node& value, const Source& source, const std::string& origin) {
  Entry files;
  files.path = "include";
  if (value.IsSequence()) read_items(value, files, source);
  if (value.IsScalar()) files.items.push_back(read_scalar(value, "include", source.origin(value.Mark())));
  if (!value.IsSequence() && !value.IsScalar()) {
    problems_.push_back({origin, "include", "expected a file or a list of files"});
  }
  for (const Scalar& file : files.items) {
    if (file.null || file.text.empty()) {
      problems_.push_back({file.origin, "include", "expected the name of a file"});
    } else {
      read_file(included_file(source.folder, file.text), file.origin);
    }
  }
}

void DocumentReader::read_map(const YAML::Node& map, const std::string& path, Source& source, int level) {
  if (level >= kMostLevels)
    return give_up(source.origin(map.Mark()), cat("nested deeper than ", kMostLevels, " levels"));
  for (const auto& pair : map) {
    const std::string origin = source.origin(pair.first.Mark());
    const std::string key = read_key(pair.first, source, path);
    if (budget_ == 0) return;
    if (key.empty()) continue;
    const std::string full = child(path, key);
    const auto [first, is_new] = source.seen.emplace(full, origin);
    if (!is_new) {
      problems_.push_back({origin, full, cat("duplicate key, given before at ", first->second)});
    } else if (full != "include") {
      read_value(pair.second, full, origin, source, level + 1);
    }
  }
}

// "" when it is no key.
std::string DocumentReader::read_key(const YAML::Node& key, const Source& source, const std::string& path) {
  const std::string origin = source.origin(key.Mark());
  const auto refuse = [&](const std::string& reason) {
    problems_.push_back({origin, path, reason});
    return std::string();
  };
  if (!key.IsScalar() || key.Scalar().empty()) return refuse("a key must be a name");
  const std::string& name = key.Scalar();
  if (name.size() > kLongestKey) return refuse(cat("the key ", shown(name), " is too long"));
  if (name == "<<") return refuse("merge keys (<<) are not read; repeat the keys or use include");
  if (name.find('.') != std::string::npos) {
    return refuse(cat("the key ", shown(name), " holds a dot; nest keys in files, dots are for the command line"));
  }
  return shown(name) == cat("\"", name, "\"") ? name : refuse(cat("the key ", shown(name), " is no name"));
}

void DocumentReader::read_value(const YAML::Node& node, const std::string& path, const std::string& key_origin,
                                Source& source, int level) {
  Entry entry;
  // A value that is not written has no place of its own; that of an alias is the anchor's.
  entry.origin = node.IsNull() ? key_origin : source.origin(node.Mark());
  entry.path = path;
  entry.key_origin = key_origin;
  refuse_tag(node, path, entry.origin);
  if (!spend(path.size(), entry.origin)) return;
  if (node.IsMap()) {
    entry.is_section = true;
    put(std::move(entry), source);
    read_map(node, path, source, level);
    return;
  }
  entry.is_list = node.IsSequence();
  if (entry.is_list) {
    read_items(node, entry, source);
  } else {
    static_cast<Scalar&>(entry) = read_scalar(node, path, entry.origin);
  }
  put(std::move(entry), source);
}

void DocumentReader::read_items(const YAML::Node& list, Entry& entry, const Source& source) {
  for (const YAML::Node& item : list) {
    const std::string origin = source.origin(item.Mark());
    if (item.IsSequence() || item.IsMap()) {
      problems_.push_back({origin, entry.path, "a list holds plain values, no lists or sections"});
    } else {
      refuse_tag(item, entry.path, origin);
      entry.items.push_back(read_scalar(item, entry.path, origin));
    }
    if (budget_ == 0) return;
  }
}

// Plain values have the tag "?", quoted ones "!".
void DocumentReader::refuse_tag(const YAML::Node& node, const std::string& path, const std::string& origin) {
  const std::string& tag = node.Tag();
  if (tag.size() > 1) problems_.push_back({origin, path, cat("tags are not read: leave out ", shown(tag))});
}

Scalar DocumentReader::read_scalar(const YAML::Node& node, const std::string& path, const std::string& origin) {
  Scalar scalar;
  scalar.origin = origin;
  scalar.null = !node.IsScalar();
  if (scalar.null) return scalar;
  Expansion expansion = expand_environment(node.Scalar());
  if (!expansion.problem.empty()) {
    problems_.push_back({origin, path, expansion.problem});
    scalar.failed = true;
    return scalar;
  }
  if (!spend(expansion.text.size(), origin)) return scalar;
  scalar.text = std::move(expansion.text);
  // In quotes it is text, unless a variable stood there: "${N}" needs its quotes inside of {} and [].
  scalar.quoted = node.Tag() == "!" && !expansion.replaced;
  return scalar;
}

void DocumentReader::put(Entry entry, Source& source) {
  if (source.name.empty()) entry.key_origin = "command line";
  const std::string below = entry.path + ".";
  if (!entry.is_section) {
    // A value over a section of an included file takes the place of all that was in it.
    const auto first = entries_.lower_bound(below);
    auto last = first;
    while (last != entries_.end() && last->first.starts_with(below)) ++last;
    if (!entry.null) entries_.erase(first, last);
  }
  const std::string path = entry.path;
  entries_.insert_or_assign(path, std::move(entry));
}

Document DocumentReader::finish(const std::string& name) {
  if (stopped_) throw_problems(std::move(problems_));
  Document document;
  document.name_ = name;
  document.problems_ = std::move(problems_);
  for (auto& [path, entry] : entries_) document.entries_.push_back(std::move(entry));
  return document;
}

Document Document::load(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  DocumentReader reader;
  reader.read_file(find_config(file), "");
  for (const std::string& text : overrides) reader.read_override(text);
  return reader.finish(file.lexically_normal().string());
}

Document Document::parse(std::string_view text, std::string_view name, const std::vector<std::string>& overrides) {
  DocumentReader reader;
  reader.read_text(text, std::string(name), fs::path(name).parent_path());
  for (const std::string& override_text : overrides) reader.read_override(override_text);
  return reader.finish(std::string(name));
}

std::string Document::scalar(std::string_view path) const {
  const auto found = std::ranges::find(entries_, path, &Entry::path);
  return found == entries_.end() || found->is_list || found->is_section ? "" : found->text;
}

}  // namespace gigacat::config
