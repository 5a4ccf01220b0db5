// Typed configuration. A config is a plain struct; its `bind` declares every field once: key, default, help, range, unit,
// source. Parsing, validation, `config show`, overrides, JSON Schema and Markdown all come from that declaration.
//
//   struct GeneratorConfig {
//     int64_t depth, hidden;
//     void bind(config::Binder& b) {
//       b.field("depth", depth, 12, "transformer blocks", {.min = 1, .source = "GAT table 1"});
//       b.field("hidden", hidden, 384, "width D of a token", {.min = 8});
//       b.check("hidden", [this] { return hidden % heads == 0 ? "" : cat("hidden ", hidden, " is not divisible by ..."); });
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
  bool free_on_resume = false;       // a resumed run may differ in it (logging intervals, number of steps, workers, ...)
};

// Pointer to the storage of a field, by type.
using Storage = std::variant<bool*, int64_t*, double*, std::string*, std::vector<int64_t>*, std::vector<double>*,
                             std::vector<std::string>*>;

struct Field {
  std::string path;  // "model.generator.depth"
  Storage value;
  std::string default_text;  // as YAML
  std::string help;
  Meta meta;
  std::string origin = "default";  // "default", "FILE:LINE:COLUMN", "command line", "environment"
};

// A condition over several fields, run after all are set. Returns "" or what is wrong.
struct Check {
  std::string path;  // field that an error points at
  std::function<std::string()> run;
};

// Collects fields and sets their defaults.
class Binder {
 public:
  void field(std::string_view key, bool& value, bool standard, std::string_view help, Meta meta = {});
  void field(std::string_view key, int64_t& value, int64_t standard, std::string_view help, Meta meta = {});
  void field(std::string_view key, double& value, double standard, std::string_view help, Meta meta = {});
  void field(std::string_view key, std::string& value, std::string_view standard, std::string_view help, Meta meta = {});
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

 private:
  template <class T>
  void add(std::string_view key, T& value, T standard, std::string_view help, Meta meta);
  std::string prefix_;
  std::vector<size_t> opened_;
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

// A YAML document with its includes merged and the command line's overrides on top, not yet bound to fields.
//
// `include: FILE` or a list: files are read relative to the including file, later ones win, the including file wins over
// all; cycles are refused. `${VAR}` and `${VAR:-default}` are replaced in scalars. Duplicate keys are errors. Aliases are
// limited so that an alias bomb is refused.
class Document {
 public:
  // Errors: UsageError with FILE:LINE:COLUMN and the reason, all syntax errors that can be found.
  static Document load(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});
  // From text; `name` stands for the file in errors.
  static Document parse(std::string_view text, std::string_view name, const std::vector<std::string>& overrides = {});

  // Scalar at `path` as text, or "" when it is not there.
  std::string scalar(std::string_view path) const;

  // Sets the fields of `binder`. Errors: one UsageError that holds a line for each mistake: unknown key (with the nearest
  // known one), wrong type, value out of range, value that is no choice, failed check; each FILE:LINE:COLUMN: path: reason.
  void apply(Binder& binder) const;

  struct Entry {
    std::string path;
    std::string text;                // scalar's text
    std::vector<std::string> items;  // sequence's items
    bool is_list = false, quoted = false;
    std::string origin;  // FILE:LINE:COLUMN or "command line"
  };
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

// The resolved config as YAML: every field with its value; with `origins`, where each value came from as a comment.
std::string to_yaml(const Binder& binder, bool origins = false);
// Value of one field as YAML text.
std::string value_text(const Field& field);
// JSON Schema (draft 2020-12) of the fields, for editors.
nlohmann::json to_json_schema(const Binder& binder, std::string_view title);
// Tables in Markdown: key, type, default, unit, help, source.
std::string to_markdown(const Binder& binder);
// Fields whose values differ, as lines "path: a -> b"; `both` must describe the same schema as far as paths agree.
// Paths that stand on one side alone are listed too. Fields marked free_on_resume are left out when `skip_free`.
std::vector<std::string> differences(const Binder& a, const Binder& b, bool skip_free);

}  // namespace gigacat::config
