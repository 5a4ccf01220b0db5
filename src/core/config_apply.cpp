// Entries of a document to the fields of a binder; everything that is wrong is named.
#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "config_internal.h"

namespace gigacat::config {
namespace {

constexpr size_t kMostProblems = 100;

std::string parent_of(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

std::string leaf_of(const std::string& path) { return path.substr(path.rfind('.') + 1); }

// Files in the order in which they are first complained about, the command line last; lines from above.
void sort_by_place(std::vector<Problem>& problems) {
  struct Place {
    size_t file;
    int64_t line, column;
    auto operator<=>(const Place&) const = default;
  };
  std::map<std::string, size_t> files{{"command line", problems.size()}};
  std::vector<std::pair<Place, Problem>> placed;
  for (Problem& problem : problems) {
    std::string file = problem.origin;
    const int64_t column = take_number(file), line = take_number(file);
    const size_t index = files.emplace(file, files.size()).first->second;
    placed.emplace_back(Place{index, line, column}, std::move(problem));
  }
  std::ranges::stable_sort(placed, {}, &std::pair<Place, Problem>::first);
  for (size_t i = 0; i < placed.size(); ++i) problems[i] = std::move(placed[i].second);
}

// Applies a document once.
class Application {
 public:
  Application(Binder& binder, std::vector<Problem> problems);
  void apply(const Entry& entry);
  void run_checks(const std::string& document);
  std::vector<Problem> problems() && { return std::move(problems_); }

 private:
  bool below_refused(const std::string& path) const;
  void refuse(const Entry& entry, const std::string& reason);
  std::string unknown_key(const std::string& path) const;
  std::string suggestion(const std::string& path) const;
  std::string elsewhere(const std::string& leaf) const;
  std::vector<std::string> keys_of(const std::string& section) const;

  Binder& binder_;
  std::map<std::string, Field*> fields_;
  std::set<std::string> sections_;
  std::set<std::string> refused_;  // what stands below them is not complained about again
  std::vector<Problem> problems_;
};

Application::Application(Binder& binder, std::vector<Problem> problems)
    : binder_(binder), problems_(std::move(problems)) {
  for (Field& field : binder.fields()) {
    fields_.emplace(field.path, &field);
    for (std::string up = parent_of(field.path); !up.empty(); up = parent_of(up)) sections_.insert(up);
  }
  for (const auto& [path, help] : binder.sections()) sections_.insert(path);
}

void Application::apply(const Entry& entry) {
  if (below_refused(entry.path)) return;
  const auto found = fields_.find(entry.path);
  if (found != fields_.end() && entry.is_section) {
    refuse(entry, cat("expected ", type_name(found->second->value), ", got a section"));
  } else if (found != fields_.end()) {
    const std::vector<Problem> wrong = set_value(*found->second, entry);
    problems_.insert(problems_.end(), wrong.begin(), wrong.end());
    if (!entry.failed && wrong.empty()) found->second->origin = entry.origin;
  } else if (!sections_.contains(entry.path)) {
    refuse(entry, unknown_key(entry.path));
  } else if (!entry.is_section && !entry.null) {
    refuse(entry, cat("is a section, not a value; its keys are ", join(keys_of(entry.path))));
  }
}

void Application::run_checks(const std::string& document) {
  for (const Check& check : binder_.checks()) {
    const std::string reason = check.run();
    if (reason.empty()) continue;
    const std::string origin = telling_origin(binder_, check.path, reason);
    problems_.push_back({origin.empty() ? document + ":1:1" : origin, check.path, reason});
  }
}

bool Application::below_refused(const std::string& path) const {
  if (refused_.empty()) return false;
  for (std::string up = parent_of(path); !up.empty(); up = parent_of(up)) {
    if (refused_.contains(up)) return true;
  }
  return false;
}

void Application::refuse(const Entry& entry, const std::string& reason) {
  refused_.insert(entry.path);
  problems_.push_back({entry.key_origin, entry.path, reason});
}

std::string Application::unknown_key(const std::string& path) const {
  // A file of thousands of unknown keys is no typing mistake, and comparing each with all known ones takes time.
  if (problems_.size() >= kMostProblems) return "unknown key";
  const std::string near = suggestion(path);
  if (!near.empty()) return cat("unknown key; did you mean ", near, "?");
  const std::string section = sections_.contains(parent_of(path)) ? parent_of(path) : "";
  return cat("unknown key; ", section.empty() ? "the top level" : section, " has ", join(keys_of(section)));
}

// Paths of the fields of that name in other sections, those of `train` first, as "a, b or c".
std::string Application::elsewhere(const std::string& leaf) const {
  constexpr size_t kMostNamed = 4;
  std::vector<std::string> found;
  for (const auto& [known, field] : fields_) {
    if (leaf_of(known) == leaf) found.push_back(known);
  }
  std::ranges::stable_sort(found, {}, [](const std::string& known) { return !known.starts_with("train."); });
  if (found.size() > kMostNamed) found.resize(kMostNamed);
  if (found.size() < 2) return found.empty() ? "" : found.front();
  const std::string last = found.back();
  found.pop_back();
  return cat(join(found), " or ", last);
}

// A name without its section, a key of the same section spelled nearly so, the same key in another section, or a path
// spelled nearly so.
std::string Application::suggestion(const std::string& path) const {
  const std::string section = parent_of(path), leaf = leaf_of(path), other = elsewhere(leaf);
  if (section.empty() && !other.empty()) return other;
  const std::string sibling = nearest(leaf, keys_of(section));
  if (!sibling.empty()) return section.empty() ? sibling : section + "." + sibling;
  if (!other.empty()) return other;
  std::vector<std::string> paths;
  for (const auto& [known, field] : fields_) paths.push_back(known);
  paths.insert(paths.end(), sections_.begin(), sections_.end());
  return nearest(path, paths);
}

std::vector<std::string> Application::keys_of(const std::string& section) const {
  std::vector<std::string> keys;
  for (const auto& [path, field] : fields_) {
    if (parent_of(path) == section) keys.push_back(leaf_of(path));
  }
  for (const std::string& path : sections_) {
    if (parent_of(path) == section) keys.push_back(leaf_of(path));
  }
  return keys;
}

}  // namespace

int64_t take_number(std::string& origin) {
  const size_t colon = origin.rfind(':');
  int64_t number = 0;
  if (colon == std::string::npos) return 0;
  const auto [end, error] = std::from_chars(origin.data() + colon + 1, origin.data() + origin.size(), number);
  if (error != std::errc() || end != origin.data() + origin.size()) return 0;
  origin.resize(colon);
  return number;
}

std::string Problem::text() const {
  std::string line = origin;
  for (const std::string& part : {path, reason}) {
    if (!part.empty()) line += (line.empty() ? "" : ": ") + part;
  }
  return line;
}

void throw_problems(std::vector<Problem> problems) {
  sort_by_place(problems);
  std::vector<std::string> lines;
  for (size_t i = 0; i < problems.size() && i < kMostProblems; ++i) lines.push_back(problems[i].text());
  if (problems.size() > kMostProblems) lines.push_back(cat("and ", problems.size() - kMostProblems, " more mistakes"));
  throw UsageError(join(lines, "\n"));
}

void Document::apply(Binder& binder) const {
  Application application(binder, problems_);
  for (const Entry& entry : entries_) application.apply(entry);
  application.run_checks(name_);
  std::vector<Problem> problems = std::move(application).problems();
  if (!problems.empty()) throw_problems(std::move(problems));
}

}  // namespace gigacat::config
