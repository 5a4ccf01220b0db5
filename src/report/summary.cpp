// What a reader wants to know first, a column for each run; evaluation results; events.
#include <algorithm>
#include <functional>
#include <set>

#include "gigacat/core/config.h"
#include "gigacat/core/error.h"
#include "gigacat/report/html.h"
#include "report/sections.h"

namespace gigacat::report {
namespace {

// A value of run.json; "" when it is not there.
std::string info_text(const RunRecord& run, const std::string& path) {
  const auto found = run.info.find(path);
  return found == run.info.end() ? "" : escape_html(found->second);
}

std::string scalar_of(const RunRecord& run, std::string_view path) {
  try {
    return config::Document::parse(run.config, "config.yaml").scalar(path);
  } catch (const UsageError&) {
    return "";  // config_section says what is wrong with it
  }
}

const std::vector<Point>* curve_of(const RunRecord& run, const std::string& metric) {
  const auto found = run.metrics.curves.find(metric);
  return found == run.metrics.curves.end() || found->second.empty() ? nullptr : &found->second;
}

std::string mean_of(const RunRecord& run, const std::string& metric, double factor, const std::string& unit) {
  const std::vector<Point>* const curve = curve_of(run, metric);
  if (!curve) return "";
  double sum = 0;
  for (const Point& point : *curve) sum += point.y;
  return short_number(factor * sum / static_cast<double>(curve->size())) + unit;
}

std::string largest_of(const RunRecord& run, const std::string& metric, const std::string& unit) {
  const std::vector<Point>* const curve = curve_of(run, metric);
  if (!curve) return "";
  const auto by_value = [](const Point& a, const Point& b) { return a.y < b.y; };
  return short_number(std::max_element(curve->begin(), curve->end(), by_value)->y) + unit;
}

std::string last_of(const RunRecord& run, const std::string& metric) {
  const std::vector<Point>* const curve = curve_of(run, metric);
  return curve ? short_number(curve->back().y) : "";
}

std::string status_of(const RunRecord& run) {
  if (run.sessions.empty()) return "";
  const std::string& end = run.sessions.back().end;
  if (end.empty()) return "<span class=\"warning\">killed</span>";
  return end.starts_with("failed") ? "<span class=\"warning\">" + escape_html(end) + "</span>" : escape_html(end);
}

std::string steps_of(const RunRecord& run) {
  int64_t last = run.sessions.empty() ? 0 : run.sessions.back().last_step;
  if (const std::vector<Point>* const curve = curve_of(run, "D/loss"))
    last = std::max(last, static_cast<int64_t>(curve->back().x));
  const std::string wanted = scalar_of(run, "train.steps");
  return cat(last, wanted.empty() ? "" : " of " + escape_html(wanted));
}

std::string time_of(const RunRecord& run) {
  if (run.sessions.empty()) return "";
  double seconds = 0;
  for (const Session& session : run.sessions) seconds += session.seconds;
  const size_t count = run.sessions.size();
  return human_time(seconds) + (count > 1 ? cat(" in ", count, " sessions") : "");
}

std::string shares_of(const RunRecord& run) {
  std::vector<std::string> shares;
  for (const char* part : {"data", "D", "G", "other"})
    if (const std::string share = mean_of(run, cat("time/", part), 100, " %"); !share.empty())
      shares.push_back(cat(part, " ", share));
  return join(shares);
}

std::string skipped_of(const RunRecord& run) {
  const std::string d = last_of(run, "skipped/D"), g = last_of(run, "skipped/G");
  return d.empty() && g.empty() ? "" : cat("D ", d, ", G ", g);
}

std::string place_of(const RunRecord& run) {
  const std::string threads = info_text(run, "threads"), ranks = info_text(run, "ranks");
  std::vector<std::string> parts;
  if (const std::string device = info_text(run, "device"); !device.empty()) parts.push_back(device);
  if (!ranks.empty()) parts.push_back(ranks + (ranks == "1" ? " process" : " processes"));
  if (!threads.empty()) parts.push_back(threads + (threads == "1" ? " thread" : " threads"));
  return join(parts);
}

std::string data_of(const RunRecord& run) {
  const std::string path = info_text(run, "data.path");
  const std::string samples = info_text(run, "data.samples");
  return path.empty() ? "" : cat("<code>", path, "</code>", samples.empty() ? "" : cat(", ", samples, " images"));
}

std::string best_of(const RunRecord& run) {
  if (run.best.metric.empty()) return "";
  return cat(escape_html(run.best.metric), " ", short_number(run.best.value), " at step ", run.best.step);
}

}  // namespace

std::string summary_section(const Runs& runs) {
  const std::vector<std::pair<std::string, std::function<std::string(const RunRecord&)>>> lines = {
      {"state", status_of},
      {"steps", steps_of},
      {"thousand images seen", [](const RunRecord& run) { return last_of(run, "kimg"); }},
      {"time", time_of},
      {"images a second", [](const RunRecord& run) { return mean_of(run, "images_per_second", 1, ""); }},
      {"where the time goes", shares_of},
      {"most memory", [](const RunRecord& run) { return largest_of(run, "memory/peak_resident_gib", " GiB"); }},
      {"most memory of the GPU",
       [](const RunRecord& run) { return largest_of(run, "memory/peak_device_gib", " GiB"); }},
      {"skipped steps", skipped_of},
      {"best", best_of},
      {"device", place_of},
      {"data", data_of},
      {"recipe", [](const RunRecord& run) { return escape_html(scalar_of(run, "recipe")); }},
      {"seed", [](const RunRecord& run) { return escape_html(scalar_of(run, "seed")); }},
      {"last started", [](const RunRecord& run) { return info_text(run, "started"); }},
      {"command",
       [](const RunRecord& run) {
         const std::string command = info_text(run, "command");
         return command.empty() ? "" : "<code>" + command + "</code>";
       }},
      {"version", [](const RunRecord& run) { return info_text(run, "version"); }},
  };
  std::vector<std::vector<std::string>> rows = {{""}};
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string colour =
        runs.size() > 1 ? cat("<span style=\"color:", colour_of(i), "\">&#9632;</span> ") : std::string();
    rows.front().push_back(colour + escape_html(runs[i].name));
  }
  for (const auto& [title, text] : lines) {
    std::vector<std::string> row = {title};
    for (const RunRecord& run : runs) row.push_back(text(run));
    if (std::any_of(row.begin() + 1, row.end(), [](const std::string& cell) { return !cell.empty(); }))
      rows.push_back(std::move(row));
  }
  return html_table(rows);
}

std::string evaluation_section(const Runs& runs) {
  std::string html;
  for (const RunRecord& run : runs) {
    std::set<std::string> figures;
    std::map<int64_t, std::map<std::string, std::string>> steps;
    std::set<std::string> notes;
    for (const EvaluationRecord& record : run.metrics.evaluations) {
      for (const auto& [name, text] : record.figures) {
        figures.insert(name);
        steps[record.step][name] = escape_html(text);
      }
      notes.insert(cat(record.fake_images, " generated images against ", record.real_images, " of ", record.real));
    }
    if (steps.empty()) continue;
    std::vector<std::vector<std::string>> rows = {{"step"}};
    for (const std::string& name : figures) rows.front().push_back(escape_html(name));
    for (auto& [step, values] : steps) {
      rows.push_back({std::to_string(step)});
      for (const std::string& name : figures) rows.back().push_back(values[name]);
    }
    html += cat(runs.size() > 1 ? "<h3>" + escape_html(run.name) + "</h3>\n" : "", html_table(rows));
    for (const std::string& note : notes) html += cat("<p class=\"note\">", escape_html(note), "</p>\n");
  }
  return html.empty() ? "" : "<h2>Evaluation results</h2>\n" + html;
}

std::string events_section(const Runs& runs) {
  std::string html;
  for (const RunRecord& run : runs) {
    std::vector<std::vector<std::string>> rows = {{"time", "after step", "what", ""}};
    for (const Event& event : run.events) {
      const bool bad = event.kind == "warning" || event.kind == "error" || event.kind == "killed";
      rows.push_back({escape_html(event.time), std::to_string(event.step),
                      bad ? "<span class=\"warning\">" + event.kind + "</span>" : event.kind,
                      escape_html(event.text) + (event.times > 1 ? cat(" (", event.times, " times)") : "")});
    }
    if (run.metrics.damaged_lines > 0)
      rows.push_back({"", "", "<span class=\"warning\">warning</span>",
                      cat("metrics.jsonl: ", run.metrics.damaged_lines, " lines cannot be read and are left out")});
    if (rows.size() == 1) continue;
    html += cat(runs.size() > 1 ? "<h3>" + escape_html(run.name) + "</h3>\n" : "", html_table(rows));
  }
  return "<h2>Events</h2>\n" +
         (html.empty() ? "<p class=\"note\">No restart, no warning, no skipped step.</p>\n" : html);
}

}  // namespace gigacat::report
