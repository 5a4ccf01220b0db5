#include "gigacat/core/config.h"

#include <algorithm>

#include "config_internal.h"

namespace gigacat::config {
namespace {

std::string parent_of(std::string_view path) {
  const size_t dot = path.rfind('.');
  return std::string(path.substr(0, dot == std::string_view::npos ? 0 : dot));
}

std::string_view leaf_of(std::string_view path) { return path.substr(path.rfind('.') + 1); }

// Whether `word` stands in `text` with no letter, digit or underscore around it.
bool names(std::string_view text, std::string_view word) {
  const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || !letter(text[at - 1])) && (end == text.size() || !letter(text[end]))) return true;
  }
  return false;
}

}  // namespace

template <class T>
void Binder::add(std::string_view key, T& value, T standard, std::string_view help, Meta meta) {
  const std::string path = cat(prefix_, key);
  GIGACAT_CHECK(!find(path) && !sections_.contains(path), "declared twice: ", path);
  value = standard;
  Field field{path, &value, std::move(standard), "", std::string(help), std::move(meta)};
  field.default_text = value_text(field);
  const std::string wrong = out_of_limits(field);
  GIGACAT_CHECK(wrong.empty(), "default of ", path, ": ", wrong);
  fields_.push_back(std::move(field));
}

void Binder::field(std::string_view key, bool& value, bool standard, std::string_view help, Meta meta) {
  add(key, value, standard, help, std::move(meta));
}
void Binder::field(std::string_view key, int64_t& value, int64_t standard, std::string_view help, Meta meta) {
  add(key, value, standard, help, std::move(meta));
}
void Binder::field(std::string_view key, double& value, double standard, std::string_view help, Meta meta) {
  add(key, value, standard, help, std::move(meta));
}
void Binder::field(std::string_view key, std::string& value, std::string_view standard, std::string_view help,
                   Meta meta) {
  add(key, value, std::string(standard), help, std::move(meta));
}
void Binder::field(std::string_view key, std::vector<int64_t>& value, std::vector<int64_t> standard,
                   std::string_view help, Meta meta) {
  add(key, value, std::move(standard), help, std::move(meta));
}
void Binder::field(std::string_view key, std::vector<double>& value, std::vector<double> standard,
                   std::string_view help, Meta meta) {
  add(key, value, std::move(standard), help, std::move(meta));
}
void Binder::field(std::string_view key, std::vector<std::string>& value, std::vector<std::string> standard,
                   std::string_view help, Meta meta) {
  add(key, value, std::move(standard), help, std::move(meta));
}

void Binder::open(std::string_view key, std::string_view help) {
  const std::string path = cat(prefix_, key);
  GIGACAT_CHECK(!find(path), "a field and a section: ", path);
  sections_.emplace(path, help);
  opened_.push_back(prefix_.size());
  prefix_ = path + ".";
}

void Binder::close() {
  GIGACAT_CHECK(!opened_.empty(), "no section is open");
  prefix_.resize(opened_.back());
  opened_.pop_back();
}

void Binder::check(std::string_view key, std::function<std::string()> run) {
  checks_.push_back({cat(prefix_, key), std::move(run)});
}

const Field* Binder::find(std::string_view path) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.path == path; });
  return found == fields_.end() ? nullptr : &*found;
}

const Field& Binder::at(std::string_view path) const {
  const Field* field = find(path);
  GIGACAT_CHECK(field != nullptr, "no field ", path);
  return *field;
}

std::string telling_origin(const Binder& binder, std::string_view path, std::string_view reason) {
  const Field* field = binder.find(path);
  if (field != nullptr && field->origin != "default") return field->origin;
  GIGACAT_CHECK(field != nullptr || binder.sections().contains(std::string(path)), "no field or section ", path);
  const std::string section = field != nullptr ? parent_of(path) : std::string(path);
  for (const Field& other : binder.fields()) {
    if (other.origin == "default" || !names(reason, leaf_of(other.path))) continue;
    if (parent_of(other.path) == section || names(reason, other.path)) return other.origin;
  }
  return "";
}

std::string complaint(const Binder& binder, std::string_view path, std::string_view reason) {
  return Problem{telling_origin(binder, path, reason), std::string(path), std::string(reason)}.text();
}

std::vector<std::string> differences(const Binder& a, const Binder& b, bool skip_free) {
  std::vector<std::string> lines;
  const auto free = [&](const Field& field) { return skip_free && field.meta.free_on_resume; };
  for (const Field& field : a.fields()) {
    const Field* other = b.find(field.path);
    if (free(field) || (other != nullptr && free(*other))) continue;
    const std::string before = value_text(field), after = other != nullptr ? value_text(*other) : "(absent)";
    if (before != after) lines.push_back(cat(field.path, ": ", before, " -> ", after));
  }
  for (const Field& field : b.fields()) {
    if (!a.find(field.path) && !free(field)) lines.push_back(cat(field.path, ": (absent) -> ", value_text(field)));
  }
  return lines;
}

}  // namespace gigacat::config
