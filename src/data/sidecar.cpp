#include "data/sidecar.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "gigacat/core/error.h"

namespace gigacat::data {

using nlohmann::json;

namespace {

json parse_json(std::string_view text, const std::string& where) {
  json parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded()) fail(where, " is not valid JSON");
  return parsed;
}

int32_t checked_label(int64_t label, const std::string& where) {
  if (label < 0 || label > std::numeric_limits<int32_t>::max()) fail(where, ": label ", label, " is out of range");
  return static_cast<int32_t>(label);
}

void add_label(std::unordered_map<std::string, int32_t>& labels, const json& item, const std::string& where) {
  if (!item.is_array() || item.size() != 2 || !item[0].is_string())
    fail(where, ": \"labels\" holds something else than [name, label]: ", item.dump().substr(0, 80));
  const std::string& name = item[0].get_ref<const std::string&>();
  if (!item[1].is_number_integer()) fail(where, ": the label of ", name, " is no whole number");
  labels[name] = checked_label(item[1].get<int64_t>(), where);
}

}  // namespace

std::vector<int32_t> parse_dataset_json(std::string_view text, const std::string& where, const NameList& names) {
  const json parsed = parse_json(text, where);
  if (!parsed.is_object() || !parsed.contains("labels")) fail(where, " has no \"labels\"");
  const json& items = parsed["labels"];
  if (items.is_null()) return {};
  if (!items.is_array()) fail(where, ": \"labels\" is neither a list nor null");
  std::unordered_map<std::string, int32_t> by_name;
  for (const json& item : items) add_label(by_name, item, where);
  std::vector<int32_t> labels(names.size(), -1);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto found = by_name.find(std::string(names[i]));
    if (found != by_name.end()) labels[i] = found->second;
  }
  return labels;
}

std::string CaptionRule::extract(std::string_view text, const std::string& where) const {
  std::string caption;
  if (column.empty()) {
    caption = trim(text);
  } else {
    const json parsed = parse_json(text, where);
    if (!parsed.is_object() || !parsed.contains(column)) fail(where, ": its JSON has no \"", column, "\"");
    if (!parsed[column].is_string()) fail(where, ": \"", column, "\" is no text");
    caption = trim(parsed[column].get<std::string>());
  }
  if (caption.empty()) fail(where, ": the caption is empty");
  return caption;
}

int32_t parse_label(std::string_view text, const std::string& where) {
  return checked_label(parse_int(trim(text), where), where);
}

}  // namespace gigacat::data
