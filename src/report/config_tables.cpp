// Config values that differ between runs and from the defaults.
#include <algorithm>
#include <map>
#include <optional>

#include "gigacat/core/config.h"
#include "gigacat/core/error.h"
#include "gigacat/report/html.h"
#include "gigacat/run/config.h"
#include "report/sections.h"

namespace gigacat::report {
namespace {

// A run's config: values as YAML text by path.
struct Values {
  std::map<std::string, std::string> values, defaults, help;
  std::string problem;  // why the defaults are not known
};

std::string text_of(const config::Entry& entry) {
  if (!entry.is_list) return entry.text;
  std::vector<std::string> items;
  for (const config::Scalar& item : entry.items) items.push_back(item.text);
  return "[" + join(items) + "]";
}

Values read_values(const RunRecord& run) {
  Values read;
  try {
    const auto config = run::parse_config(run.config, "config.yaml");
    for (const config::Field& field : config->binder.fields()) {
      read.values[field.path] = config::value_text(field);
      read.defaults[field.path] = field.default_text;
      read.help[field.path] = field.help;
    }
    return read;
  } catch (const Error& error) {  // of another version, or a data set that is gone
    read.problem = error.what();
  }
  try {
    const config::Document document = config::Document::parse(run.config, "config.yaml");
    for (const config::Entry& entry : document.entries())
      if (!entry.is_section) read.values[entry.path] = text_of(entry);
  } catch (const Error&) {
    return read;  // `problem` says it
  }
  return read;
}

// Paths of all runs, in order.
std::vector<std::string> all_paths(const std::vector<Values>& all) {
  std::vector<std::string> paths;
  for (const Values& one : all)
    for (const auto& [path, value] : one.values) paths.push_back(path);
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

std::string find(const std::map<std::string, std::string>& texts, const std::string& path) {
  const auto found = texts.find(path);
  return found == texts.end() ? "" : found->second;
}

std::optional<std::string> first_of(const std::vector<Values>& all, const std::string& path,
                                    std::map<std::string, std::string> Values::*member) {
  for (const Values& one : all)
    if (const auto found = (one.*member).find(path); found != (one.*member).end()) return found->second;
  return std::nullopt;
}

bool differs_between(const std::vector<Values>& all, const std::string& path) {
  return std::any_of(all.begin(), all.end(), [&](const Values& one) {
    return find(one.values, path) != find(all.front().values, path) ||
           one.values.contains(path) != all.front().values.contains(path);
  });
}

bool differs_from_default(const std::vector<Values>& all, const std::string& path) {
  return std::any_of(all.begin(), all.end(), [&](const Values& one) {
    return one.defaults.contains(path) && find(one.values, path) != find(one.defaults, path);
  });
}

std::string table_of(const Runs& runs, const std::vector<Values>& all, const std::vector<std::string>& paths) {
  std::vector<std::vector<std::string>> rows = {{"key"}};
  for (const RunRecord& run : runs) rows.front().push_back(escape_html(run.name));
  rows.front().insert(rows.front().end(), {"default", "meaning"});
  for (const std::string& path : paths) {
    std::vector<std::string> row = {"<code>" + escape_html(path) + "</code>"};
    for (const Values& one : all) row.push_back(one.values.contains(path) ? escape_html(find(one.values, path)) : "–");
    row.push_back(escape_html(first_of(all, path, &Values::defaults).value_or("")));
    row.push_back("<span class=\"note\">" + escape_html(first_of(all, path, &Values::help).value_or("")) + "</span>");
    rows.push_back(std::move(row));
  }
  return html_table(rows);
}

}  // namespace

std::string config_section(const Runs& runs) {
  std::vector<Values> all;
  for (const RunRecord& run : runs) all.push_back(read_values(run));
  std::vector<std::string> between, changed;
  for (const std::string& path : all_paths(all)) {
    if (differs_between(all, path)) between.push_back(path);
    if (differs_from_default(all, path)) changed.push_back(path);
  }
  std::string html = "<h2>Config</h2>\n";
  for (size_t i = 0; i < runs.size(); ++i)
    if (!all[i].problem.empty())
      html += cat("<p class=\"warning\">", escape_html(runs[i].name), ": this version cannot read the config (",
                  escape_html(all[i].problem), "), so its defaults are not known.</p>\n");
  if (runs.size() > 1)
    html += between.empty() ? "<p>The runs have the same config.</p>\n"
                            : cat("<h3>Values that differ between the runs</h3>\n", table_of(runs, all, between));
  if (!changed.empty())
    html += cat(runs.size() > 1 ? "<details><summary>" : "<details open><summary>",
                "Values that differ from the defaults: ", changed.size(), "</summary>\n", table_of(runs, all, changed),
                "</details>\n");
  for (const RunRecord& run : runs)
    html += cat("<details><summary>config.yaml of ", escape_html(run.name), "</summary><pre>", escape_html(run.config),
                "</pre></details>\n");
  return html;
}

}  // namespace gigacat::report
