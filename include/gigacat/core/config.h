// Typed configuration. A config is a plain struct; its `bind` declares every field once: key, default, help, range,
// unit, source. Parsing, validation, `config show`, overrides, JSON Schema and Markdown all come from that declaration.
//
//   struct GeneratorConfig {
//     int64_t depth, hidden, heads;
//     void bind(config::Binder& b) {
//       b.field("depth", depth, 12, "transformer blocks", {.min = 1, .source = "GAT table 1"});
//       b.field("hidden", hidden, 384, "width D of a token", {.min = 8});
//       b.field("heads", heads, 6, "attention heads", {.min = 1});
//       b.check("hidden", [this] {
//         return hidden % heads == 0 ? "" : cat("hidden ", hidden, " is not divisible by heads ", heads);
//       });
//     }
//   };
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gigacat/core/error.h"

namespace gigacat::config {

// What may be said of a field besides key, default and help.
struct Meta {
  double min = -std::numeric_limits<double>::infinity();  // inclusive; for lists: of each item
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices;  // text fields: the values allowed; empty: any
  std::string unit;                  // "px", "s", "images", ...
  std::string source;                // paper section or reference code that the default comes from
  bool free_on_resume = false;  // a resumed run may differ in it (logging intervals, number of steps, workers, ...)
};

// Pointer to the storage of a field, by type.
using Storage = std::variant<bool*, int64_t*, double*, std::string*, std::vector<int64_t>*, std::vector<double>*,
                             std::vector<std::string>*>;

using Value = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>,
                           std::vector<std::string>>;

struct Field {
  std::string path;  // "model.generator.depth"
  Storage value;
  Value standard;            // the default
  std::string default_text;  // as YAML
  std::string help;
  Meta meta;
  std::string origin = "default";  // "default", "FILE:LINE:COLUMN", "command line"
};

// A condition over several fields, run after all are set. Returns "" or what is wrong.
struct Check {
  std::string path;  // field that an error points at
  std::function<std::string()> run;
};

// Collects fields and sets their defaults. Errors: InternalError for a key that is declared twice and for a default
// that is out of its own range or choices.
class Binder {
 public:
  void field(std::string_view key, bool& value, bool standard, std::string_view help, Meta meta = {});
  void field(std::string_view key, int64_t& value, int64_t standard, std::string_view help, Meta meta = {});
  void field(std::string_view key, double& value, double standard, std::string_view help, Meta meta = {});
  void field(std::string_view key, std::string& value, std::string_view standard, std::string_view help,
             Meta meta = {});
  void field(std::string_view key, std::vector<int64_t>& value, std::vector<int64_t> standard, std::string_view help,
             Meta meta = {});
  void field(std::string_view key, std::vector<double>& value, std::vector<double> standard, std::string_view help,
             Meta meta = {});
  void field(std::string_view key, std::vector<std::string>& value, std::vector<std::string> standard,
             std::string_view help, Meta meta = {});

  // A struct with a `bind` of its own under `key`.
  template <class S>
  void section(std::string_view key, S& value, std::string_view help) {
    open(key, help);
    value.bind(*this);
    close();
  }
  void open(std::string_view key, std::string_view help);
  void close();

  // A check whose errors point at `key` (relative to the open section).
  void check(std::string_view key, std::function<std::string()> run);

  std::vector<Field>& fields() { return fields_; }
  const std::vector<Field>& fields() const { return fields_; }
  const std::vector<Check>& checks() const { return checks_; }
  const std::map<std::string, std::string>& sections() const { return sections_; }  // path -> help
  // Errors: InternalError for an unknown path.
  const Field& at(std::string_view path) const;
  // nullptr for an unknown path.
  const Field* find(std::string_view path) const;

 private:
  template <class T>
  void add(std::string_view key, T& value, T standard, std::string_view help, Meta meta);
  std::string prefix_;          // of the open section, with its dot
  std::vector<size_t> opened_;  // lengths of the prefixes around it
  std::vector<Field> fields_;
  std::vector<Check> checks_;
  std::map<std::string, std::string> sections_;
};

// Sets `S` to its defaults.
template <class S>
S defaults() {
  S value{};
  Binder binder;
  value.bind(binder);
  return value;
}

// A scalar of a document.
struct Scalar {
  std::string text;
  std::string origin;   // FILE:LINE:COLUMN or "command line"
  bool quoted = false;  // text for certain: no number, no truth value
  bool null = false;    // no value was given
  bool failed = false;  // it could not be read; a Problem says why
};

// A key of a document: a scalar, a list of scalars, or a section.
struct Entry : Scalar {
  std::string path;
  std::string key_origin;  // place of the key; `origin` is that of the value
  std::vector<Scalar> items;
  bool is_list = false, is_section = false;
};

// A mistake in a document.
struct Problem {
  std::string origin, path, reason;  // path: "" for a mistake of syntax
  std::string text() const;          // "origin: path: reason"
};

// A YAML document with its includes merged and the command line's overrides on top, not yet bound to fields.
//
// `include: FILE` or a list: files are read relative to the including file, later ones win, the including file wins
// over all; cycles are refused. `${VAR}` and `${VAR:-default}` are replaced in scalars; `$${` stands for `${`.
// Duplicate keys, merge keys and tags are errors. Files over 1 MiB, depths over 64 and aliases that expand to more than
// 8 MiB are refused. An override is `path=value`; a value that begins with [, {, " or ' is read as YAML, any other as
// it stands.
class Document {
 public:
  // Errors: UsageError with FILE:LINE:COLUMN and the reason when a file cannot be read or parsed, or includes run in a
  // circle; with all other mistakes found so far.
  static Document load(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});
  // From text; `name` stands for the file in errors.
  static Document parse(std::string_view text, std::string_view name, const std::vector<std::string>& overrides = {});

  // Scalar at `path` as text, or "" when it is not there.
  std::string scalar(std::string_view path) const;

  // Sets the fields of `binder`; a field with a wrong value keeps its default. Errors: one UsageError that holds a line
  // for each mistake: those of problems(), unknown key (with the nearest known one), wrong type, value out of range,
  // value that is no choice, failed check; each FILE:LINE:COLUMN: path: reason.
  void apply(Binder& binder) const;

  // Sorted by path.
  const std::vector<Entry>& entries() const { return entries_; }
  // Mistakes that load() and parse() leave for apply() to report with its own: duplicate keys, variables that are not
  // set, lists in lists, overrides without "=".
  const std::vector<Problem>& problems() const { return problems_; }

 private:
  friend class DocumentReader;
  std::string name_;  // of the first file
  std::vector<Entry> entries_;
  std::vector<Problem> problems_;
};

// "FILE:LINE:COLUMN: path: reason" for a mistake in the values of `binder` that is found outside apply(). When the
// field has its default, the place is that of a field beside it which `reason` names; when there is none the text
// begins with the path.
std::string complaint(const Binder& binder, std::string_view path, std::string_view reason);

// The resolved config as YAML: every field with its value, which parse() reads back equal; with `origins`, where each
// value came from as a comment.
std::string to_yaml(const Binder& binder, bool origins = false);
// Value of one field as YAML text.
std::string value_text(const Field& field);
// JSON Schema (draft 2020-12) of the fields, for editors.
nlohmann::json to_json_schema(const Binder& binder, std::string_view title);
// A table in Markdown for each section: key, type, default, range or choices, unit, help, source.
std::string to_markdown(const Binder& binder);
// Fields whose values differ, as lines "path: a -> b"; `both` must describe the same schema as far as paths agree.
// Paths that stand on one side alone are listed too. Fields marked free_on_resume are left out when `skip_free`.
std::vector<std::string> differences(const Binder& a, const Binder& b, bool skip_free);

}  // namespace gigacat::config
