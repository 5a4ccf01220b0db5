#include "gigacat/sweep/sweep.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "gigacat/core/config.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/installation.h"
#include "gigacat/run/config.h"
#include "sweep/metrics.h"

namespace gigacat::sweep {
namespace {

using config::Entry;

constexpr size_t kMostRuns = 10'000;

// The sweep's own keys.
struct SweepKeys {
  std::string title, base;
  std::vector<int64_t> seeds;
  std::vector<std::string> metrics, higher_is_better, skip;
  int64_t average;
  Halving halving;
  void bind(config::Binder& b) {
    b.field("title", title, "", "heading of the report");
    b.field("base", base, "", "config that all runs begin from, relative to this file");
    b.field("seeds", seeds, {0}, "a run for each");
    b.field("metrics", metrics, {}, "columns of the report, by their names in metrics.jsonl");
    b.field("higher_is_better", higher_is_better, {}, "those of the metrics");
    b.field("skip", skip, {}, "conditions KEY=VALUE KEY=VALUE: runs that meet all of one are left out");
    b.field("average", average, 1, "records at the end of a run that a value averages", {.min = 1});
    b.field("halving.metric", halving.metric, "", "metric by which the worst runs are stopped early; empty: none");
    b.field("halving.first", halving.first, 0, "steps before the first comparison", {.min = 0, .unit = "steps"});
    b.field("halving.factor", halving.factor, 2,
            "the best 1 / factor of the labels continue, for factor times the steps", {.min = 2});
  }
};

// LINE, COLUMN of "FILE:LINE:COLUMN".
std::pair<int64_t, int64_t> place(const std::string& origin) {
  const size_t last = origin.rfind(':'), before = last == std::string::npos ? last : origin.rfind(':', last - 1);
  if (before == std::string::npos) return {0, 0};
  return {std::atoll(origin.c_str() + before + 1), std::atoll(origin.c_str() + last + 1)};
}

// An entry's value as an override takes it.
std::string value_of(const Entry& entry) {
  if (!entry.is_list) return entry.text;
  std::vector<std::string> items;
  for (const config::Scalar& item : entry.items) items.push_back(item.text);
  return "[" + join(items) + "]";
}

// Entries below PREFIX. in the order of the file, their paths without it; sections too when `sections`.
std::vector<std::pair<std::string, const Entry*>> below(const config::Document& document, const std::string& prefix,
                                                        bool sections = false) {
  std::vector<std::pair<std::string, const Entry*>> found;
  for (const Entry& entry : document.entries())
    if ((sections || !entry.is_section) && entry.path.starts_with(prefix + "."))
      found.emplace_back(entry.path.substr(prefix.size() + 1), &entry);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return place(a.second->key_origin) < place(b.second->key_origin);
  });
  return found;
}

// The part of the document that SweepKeys binds; every other key must be in one of the sections.
SweepKeys read_keys(const config::Document& document, const fs::path& file) {
  SweepKeys keys;
  config::Binder binder;
  keys.bind(binder);
  std::vector<std::string> wrong, known = {"set", "grid", "zip", "rows", "paper"};
  for (const config::Field& field : binder.fields()) known.push_back(field.path);
  for (const Entry& entry : document.entries()) {
    const std::string top = entry.path.substr(0, entry.path.find('.'));
    const bool is_halving = entry.path == "halving" && entry.is_section;
    const bool is_free = top != "halving" && std::find(known.begin(), known.end(), top) != known.end();
    if (is_halving || is_free || binder.find(entry.path)) continue;
    const std::string near = nearest(top == "halving" ? entry.path : top, known);
    wrong.push_back(cat(entry.key_origin, ": ", entry.path, ": unknown key",
                        near.empty() ? "" : cat("; did you mean ", near, "?")));
  }
  for (const config::Problem& problem : document.problems()) wrong.push_back(problem.text());
  if (!wrong.empty()) fail<UsageError>(join(wrong, "\n"));
  std::vector<std::string> overrides;
  for (const Entry& entry : document.entries()) {
    if (!binder.find(entry.path)) continue;
    // Quoted, so that a condition stays one text.
    std::vector<std::string> items;
    for (const config::Scalar& item : entry.items) items.push_back("\"" + item.text + "\"");
    const bool texts = std::holds_alternative<std::vector<std::string>*>(binder.find(entry.path)->value);
    overrides.push_back(entry.path + "=" + (entry.is_list && texts ? "[" + join(items) + "]" : value_of(entry)));
  }
  config::Document::parse("", file.string(), overrides).apply(binder);
  if (!keys.halving.metric.empty() && keys.halving.first == 0)
    fail<UsageError>(file.string(), ": halving.first: the steps before the first comparison are missing");
  if (keys.base.empty()) fail<UsageError>(file.string(), ": base: the config that the runs begin from is missing");
  return keys;
}

// Named rows; one without a name where there are none.
std::vector<std::pair<std::string, Settings>> rows_of(const config::Document& document) {
  std::vector<std::pair<std::string, Settings>> rows;
  for (const auto& [path, entry] : below(document, "rows", /*sections=*/true)) {
    const size_t dot = path.find('.');
    if (dot == std::string::npos) {
      if (!entry->is_section && !entry->null)
        fail<UsageError>(entry->key_origin, ": rows.", path, ": a row holds keys of the config");
      rows.emplace_back(path, Settings{});
    } else if (!entry->is_section) {
      const std::string name = path.substr(0, dot);
      const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& item) { return item.first == name; });
      GIGACAT_CHECK(row != rows.end(), path);
      row->second.emplace_back(path.substr(dot + 1), value_of(*entry));
    }
  }
  if (rows.empty()) rows.emplace_back("", Settings{});
  return rows;
}

// Each axis: the settings of its values.
std::vector<std::vector<Settings>> axes_of(const config::Document& document) {
  std::vector<std::vector<Settings>> axes;
  const auto items_of = [](const std::string& path, const Entry* entry) {
    if (!entry->is_list || entry->items.empty())
      fail<UsageError>(entry->origin, ": ", path, ": expected a list of values");
    return entry->items;
  };
  std::vector<Settings> zipped;
  for (const auto& [path, entry] : below(document, "zip")) {
    const auto items = items_of(path, entry);
    if (!zipped.empty() && zipped.size() != items.size())
      fail<UsageError>(entry->origin, ": ", path, ": ", items.size(), " values where its companions in zip have ",
                       zipped.size());
    zipped.resize(items.size());
    for (size_t i = 0; i < items.size(); ++i) zipped[i].emplace_back(path, items[i].text);
  }
  if (!zipped.empty()) axes.push_back(zipped);
  for (const auto& [path, entry] : below(document, "grid")) {
    std::vector<Settings> axis;
    for (const config::Scalar& item : items_of(path, entry)) axis.push_back({{path, item.text}});
    axes.push_back(axis);
  }
  return axes;
}

std::string value_in(const Settings& settings, const std::string& key) {
  std::string value;
  for (const auto& [path, text] : settings)
    if (path == key) value = text;
  return value;
}

// "KEY=VALUE KEY=VALUE" holds for the run: the values as its settings have them.
bool meets(const Settings& settings, const std::string& condition) {
  const std::vector<std::string> words = split(condition, ' ');
  return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
    if (word.empty()) return true;
    const size_t equals = word.find('=');
    if (equals == std::string::npos)
      fail<UsageError>("skip: '", condition, "' is no condition: write KEY=VALUE KEY=VALUE");
    return value_in(settings, word.substr(0, equals)) == word.substr(equals + 1);
  });
}

// "consistency=0, depth=8": last parts of the keys, without the row's own.
std::string label_of(const std::string& row, const Settings& axis) {
  std::vector<std::string> parts;
  if (!row.empty()) parts.push_back(row);
  for (const auto& [path, value] : axis) parts.push_back(path.substr(path.rfind('.') + 1) + "=" + value);
  return parts.empty() ? "base" : join(parts);
}

// Resolves a run's config. Errors: UsageError with the run's settings.
void resolve(Run& run, const fs::path& base) {
  std::vector<std::string> overrides;
  for (const auto& [path, value] : run.settings) overrides.push_back(path + "=" + value);
  try {
    const auto config = run::load_config(base, overrides);
    // The id depends neither on the name nor on the output folder.
    config->name = run.label;
    config->out = "";
    run.config = config->to_yaml();
  } catch (const UsageError& error) {
    fail<UsageError>("run '", run.label, "': ", error.what());
  }
  const std::string content = [&] {
    std::vector<std::string> lines;
    for (const std::string& line : split(run.config, '\n'))
      if (!line.starts_with("name:") && !line.starts_with("out:")) lines.push_back(line);
    return join(lines, "\n");
  }();
  run.id = sha256(std::as_bytes(std::span(content))).substr(0, 12);
}

// All combinations of one value of each axis, the last axis fastest.
std::vector<Settings> combinations(const std::vector<std::vector<Settings>>& axes) {
  std::vector<Settings> all = {{}};
  for (const auto& axis : axes) {
    std::vector<Settings> longer;
    for (const Settings& one : all)
      for (const Settings& value : axis) {
        longer.push_back(one);
        longer.back().insert(longer.back().end(), value.begin(), value.end());
      }
    all = std::move(longer);
    if (all.size() > kMostRuns) fail<UsageError>("more than ", kMostRuns, " runs");
  }
  return all;
}

void read_paper(Sweep& sweep, const config::Document& document) {
  for (const auto& [path, entry] : below(document, "paper")) {
    const size_t dot = path.find('.');
    char* end = nullptr;
    const double value = std::strtod(entry->text.c_str(), &end);
    if (dot == std::string::npos || entry->text.empty() || *end != '\0')
      fail<UsageError>(entry->origin, ": paper.", path, ": expected ROW: {METRIC: number}");
    sweep.paper[path.substr(0, dot)][path.substr(dot + 1)] = value;
  }
}

}  // namespace

Sweep read_sweep(const fs::path& given, const fs::path& out) {
  const fs::path file = find_config(given);
  const auto document = config::Document::load(file);
  const SweepKeys keys = read_keys(document, file);
  Sweep sweep;
  sweep.name = file.stem().string();
  sweep.title = keys.title.empty() ? sweep.name : keys.title;
  sweep.base = (file.parent_path() / keys.base).lexically_normal();
  sweep.folder = out / sweep.name;
  sweep.metrics = keys.metrics;
  sweep.higher_is_better = keys.higher_is_better;
  sweep.average = keys.average;
  sweep.halving = keys.halving;
  Settings common;
  for (const auto& [path, entry] : below(document, "set")) common.emplace_back(path, value_of(*entry));
  const auto axes = combinations(axes_of(document));
  std::set<std::string> seen;
  for (const auto& [row, row_settings] : rows_of(document))
    for (const Settings& axis : axes)
      for (const int64_t seed : keys.seeds) {
        Run run{.label = label_of(row, axis), .settings = common, .seed = seed};
        for (const Settings* part : {&row_settings, &axis})
          run.settings.insert(run.settings.end(), part->begin(), part->end());
        run.settings.emplace_back("seed", std::to_string(seed));
        const bool left_out = std::any_of(keys.skip.begin(), keys.skip.end(),
                                          [&](const std::string& condition) { return meets(run.settings, condition); });
        if (!left_out) resolve(run, sweep.base);
        if (left_out || !seen.insert(run.id).second)
          ++sweep.skipped;
        else
          sweep.runs.push_back(std::move(run));
      }
  if (sweep.runs.empty()) fail<UsageError>(file.string(), ": no run is left");
  read_paper(sweep, document);
  check_names(sweep, file.string());
  return sweep;
}

std::vector<std::string> varied_keys(const Sweep& sweep) {
  std::vector<std::string> varied;
  for (const Run& run : sweep.runs)
    for (const auto& item : run.settings) {
      const std::string& key = item.first;
      if (std::find(varied.begin(), varied.end(), key) != varied.end()) continue;
      const std::string first = value_in(sweep.runs.front().settings, key);
      if (std::any_of(sweep.runs.begin(), sweep.runs.end(),
                      [&](const Run& other) { return value_in(other.settings, key) != first; }))
        varied.push_back(key);
    }
  return varied;
}

}  // namespace gigacat::sweep
