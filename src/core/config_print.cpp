// A binder as YAML, JSON Schema and Markdown.
#include <cmath>
#include <nlohmann/json.hpp>

#include "config_internal.h"

namespace gigacat::config {
namespace {

using nlohmann::json;

// Keys of a section in the order of their declaration.
struct Tree {
  std::string key, path;
  const Field* field = nullptr;
  std::vector<Tree> children;
};

Tree& child_of(Tree& parent, const std::string& key) {
  for (Tree& child : parent.children) {
    if (child.key == key) return child;
  }
  Tree child;
  child.key = key;
  child.path = parent.path.empty() ? key : parent.path + "." + key;
  return parent.children.emplace_back(std::move(child));
}

Tree make_tree(const Binder& binder) {
  Tree root;
  for (const Field& field : binder.fields()) {
    Tree* place = &root;
    for (const std::string& key : split(field.path, '.')) place = &child_of(*place, key);
    place->field = &field;
  }
  return root;
}

std::string help_of(const Binder& binder, const std::string& section) {
  const auto found = binder.sections().find(section);
  return found == binder.sections().end() ? "" : found->second;
}

void write_yaml(const Tree& tree, bool origins, size_t indent, std::string& out) {
  for (const Tree& child : tree.children) {
    out += std::string(indent, ' ') + child.key + ":";
    if (child.field == nullptr) {
      out += "\n";
      write_yaml(child, origins, indent + 2, out);
    } else {
      out += cat(" ", value_text(*child.field), origins ? "  # " : "", origins ? child.field->origin : "", "\n");
    }
  }
}

json schema_of(bool) { return {{"type", "boolean"}}; }
json schema_of(int64_t) { return {{"type", "integer"}}; }
json schema_of(double) { return {{"type", "number"}}; }
json schema_of(const std::string&) { return {{"type", "string"}}; }
template <class T>
json schema_of(const std::vector<T>&) {
  return {{"type", "array"}, {"items", schema_of(T{})}};
}

// Whole limits without a point, as integers have them.
json limit(double value) {
  return std::trunc(value) == value && std::abs(value) < 0x1p53 ? json(static_cast<int64_t>(value)) : json(value);
}

// JSON has no infinity.
bool has_json(const Value& value) {
  const auto* number = std::get_if<double>(&value);
  return number == nullptr || std::isfinite(*number);
}

json as_json(const Value& value) {
  return std::visit([](const auto& v) { return json(v); }, value);
}

json schema_of(const Field& field) {
  json schema = std::visit([](const auto* value) { return schema_of(*value); }, field.value);
  json& item = schema.contains("items") ? schema["items"] : schema;
  if (std::isfinite(field.meta.min)) item["minimum"] = limit(field.meta.min);
  if (std::isfinite(field.meta.max)) item["maximum"] = limit(field.meta.max);
  if (!field.meta.choices.empty()) item["enum"] = field.meta.choices;
  if (has_json(field.standard)) schema["default"] = as_json(field.standard);
  std::string text = field.help;
  if (!field.meta.unit.empty()) text += cat(" [", field.meta.unit, "]");
  if (!field.meta.source.empty()) text += cat(" (", field.meta.source, ")");
  schema["description"] = text;
  return schema;
}

json schema_of(const Tree& tree, const Binder& binder) {
  json properties = json::object();
  for (const Tree& child : tree.children) {
    properties[child.key] = child.field != nullptr ? schema_of(*child.field) : schema_of(child, binder);
  }
  json schema = {{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  if (const std::string help = help_of(binder, tree.path); !help.empty()) schema["description"] = help;
  return schema;
}

// Text that can stand in a cell.
std::string cell(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '|') {
      result += "\\|";
    } else if (c == '<') {
      result += "&lt;";
    } else {
      result += c == '\n' ? ' ' : c;
    }
  }
  return result;
}

std::string short_type(const Field& field) {
  const std::string name = type_name(field.value);
  return name.starts_with("a ") ? name.substr(2) : name;
}

// The section's own fields as a table, then the sections in it.
void write_markdown(const Tree& tree, const Binder& binder, std::string& out) {
  std::string rows;
  for (const Tree& child : tree.children) {
    if (child.field == nullptr) continue;
    const Field& field = *child.field;
    std::string standard = field.default_text;
    for (size_t at = 0; (at = standard.find('|', at)) != std::string::npos; at += 2) standard.insert(at, 1, '\\');
    rows += cat("| `", child.key, "` | ", short_type(field), " | `", standard, "` | ", cell(limits(field)), " | ",
                cell(field.meta.unit), " | ", cell(field.help), " | ", cell(field.meta.source), " |\n");
  }
  if (!rows.empty() || !tree.path.empty()) {
    out += tree.path.empty() ? "## Top level\n\n" : cat("## `", tree.path, "`\n\n");
    if (const std::string help = help_of(binder, tree.path); !help.empty()) out += help + "\n\n";
  }
  if (!rows.empty()) {
    out += "| key | type | default | range or choices | unit | help | source |\n";
    out += "| --- | --- | --- | --- | --- | --- | --- |\n" + rows + "\n";
  }
  for (const Tree& child : tree.children) {
    if (child.field == nullptr) write_markdown(child, binder, out);
  }
}

}  // namespace

std::string to_yaml(const Binder& binder, bool origins) {
  std::string out;
  write_yaml(make_tree(binder), origins, 0, out);
  return out;
}

nlohmann::json to_json_schema(const Binder& binder, std::string_view title) {
  json schema = schema_of(make_tree(binder), binder);
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = title;
  schema["properties"]["include"] = {
      {"description", "files to read first, relative to this one; later ones win, this file wins over all"},
      {"anyOf", {{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}}}}};
  return schema;
}

std::string to_markdown(const Binder& binder) {
  std::string out;
  write_markdown(make_tree(binder), binder, out);
  return out;
}

}  // namespace gigacat::config
