#include "data/sidecar.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "data/class_folders.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"

namespace gigacat::data {

using nlohmann::json;

namespace {

json parse_json(std::string_view text, const std::string& where) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    const std::string_view before = text.substr(0, std::min(error.byte, text.size() + 1) - 1);  // bytes count from 1
    const size_t last = before.find_last_not_of(" \t\r\n");
    const bool comma = last != std::string_view::npos && before[last] == ',';
    fail(where, ":", std::count(before.begin(), before.end(), '\n') + 1, ": not valid JSON",
         comma ? ": a comma that nothing follows" : "");
  }
}

int32_t checked_label(int64_t label, const std::string& where) {
  if (label < 0 || label > std::numeric_limits<int32_t>::max()) fail(where, ": label ", label, " is out of range");
  return static_cast<int32_t>(label);
}

using Labels = std::unordered_map<std::string, int32_t>;

// As other programs and systems write it: "00000\\img.png", "./00000/img.png", "/00000/img.png".
std::string plain_name(std::string name) {
  std::replace(name.begin(), name.end(), '\\', '/');
  size_t begin = 0;
  while (name.compare(begin, 1, "/") == 0 || name.compare(begin, 2, "./") == 0) begin += name[begin] == '/' ? 1 : 2;
  return name.substr(begin);
}

void add_label(Labels& labels, const json& item, const std::string& where) {
  if (!item.is_array() || item.size() != 2 || !item[0].is_string())
    fail(where, ": \"labels\" holds something else than [name, label]: ", item.dump().substr(0, 80));
  const std::string name = plain_name(item[0].get<std::string>());
  if (!item[1].is_number_integer())
    fail(where, ": the label of ", name, " is no whole number but ", item[1].dump().substr(0, 40));
  const int32_t label = checked_label(item[1].get<int64_t>(), where);
  const auto [before, is_new] = labels.emplace(name, label);
  if (!is_new && before->second != label)
    fail(where, ": ", name, " is listed twice, with the labels ", before->second, " and ", label);
}

// With `from` at the front of each name exchanged for `to`.
Labels moved(const Labels& labels, const std::string& from, const std::string& to) {
  Labels result;
  for (const auto& [name, label] : labels) result.emplace(to + name.substr(from.size()), label);
  return result;
}

bool any_names(const Labels& labels, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return labels.contains(name); });
}

// As parse_dataset_json says.
Labels fit_names(Labels labels, const std::string& where, const std::vector<std::string>& names) {
  if (labels.empty() || any_names(labels, names)) return labels;
  std::vector<std::string> listed;
  for (const auto& [name, label] : labels) listed.push_back(name);
  const std::string from = shared_folder(listed), to = shared_folder(names);
  Labels other = moved(labels, from, to);
  if (!any_names(other, names))
    fail(where, ": none of its ", labels.size(), " labels is of a file that is there: it names files like ",
         *std::min_element(listed.begin(), listed.end()), ", the data holds files like ", names.front());
  log::info("data: ", where, " names files in ", from.empty() ? "no folder" : from, " that lie in ",
            to.empty() ? "its own folder" : to);
  return other;
}

void count_missing(const Labels& labels, const std::string& where, const std::vector<std::string>& names,
                   std::vector<LeftOut>& left_out) {
  const std::unordered_set<std::string_view> known(names.begin(), names.end());
  LeftOut missing{.reason = cat("labels in ", where, " of files that are not there"), .example = {}};
  for (const auto& [name, label] : labels) {
    if (known.contains(name)) continue;
    ++missing.count;
    if (missing.example.empty() || name < missing.example) missing.example = name;
  }
  if (missing.count > 0) left_out.push_back(missing);
}

}  // namespace

std::vector<int32_t> parse_dataset_json(std::string_view text, const std::string& where,
                                        const std::vector<std::string>& names, std::vector<LeftOut>& left_out) {
  const json parsed = parse_json(text, where);
  if (!parsed.is_object() || !parsed.contains("labels")) fail(where, " has no \"labels\"");
  const json& items = parsed["labels"];
  if (items.is_null()) return {};
  if (!items.is_array()) fail(where, ": \"labels\" is neither a list nor null");
  Labels by_name;
  for (const json& item : items) add_label(by_name, item, where);
  by_name = fit_names(std::move(by_name), where, names);
  count_missing(by_name, where, names, left_out);
  std::vector<int32_t> labels(names.size(), -1);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto found = by_name.find(names[i]);
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
