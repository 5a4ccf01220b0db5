#include "gigacat/sweep/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "sweep/metrics.h"
#include "sweep/report_text.h"

namespace gigacat::sweep {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// The mean has as many decimals as two digits of the deviation need.
std::string spread_text(const Spread& spread) {
  if (spread.count == 0) return "";
  if (spread.count == 1 || !(spread.deviation > 0) || !std::isfinite(spread.deviation)) return number(spread.mean);
  const int decimals = std::clamp(1 - static_cast<int>(std::floor(std::log10(spread.deviation))), 0, 12);
  char text[64];
  std::snprintf(text, sizeof text, "%.*f ± %.*f", decimals, spread.mean, decimals, spread.deviation);
  return text;
}

std::optional<double> paper_value(const Sweep& sweep, const std::string& label, const std::string& metric) {
  const auto row = sweep.paper.find(label);
  if (row == sweep.paper.end()) return std::nullopt;
  const auto value = row->second.find(metric);
  return value == row->second.end() ? std::nullopt : std::optional(value->second);
}

std::vector<Column> columns_of(const Sweep& sweep, const std::vector<LabelResult>& results) {
  const std::vector<std::string> metrics = shown_metrics(sweep, results);
  std::vector<Column> columns;
  std::vector<std::string> extra;
  for (const auto& [label, values] : sweep.paper)
    for (const auto& [metric, value] : values)
      if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end() &&
          std::find(extra.begin(), extra.end(), metric) == extra.end())
        extra.push_back(metric);
  const auto arrow = [&sweep](const std::string& metric) {
    const Better better = better_of(sweep, metric);
    return better == Better::unknown ? "" : better == Better::higher ? " ↑" : " ↓";
  };
  for (const std::vector<std::string>* names : {&metrics, &std::as_const(extra)})
    for (const std::string& metric : *names) {
      if (names == &metrics) columns.push_back({metric, false, metric + arrow(metric)});
      bool known = false;
      for (const auto& item : sweep.paper) known = known || item.second.contains(metric);
      if (known) columns.push_back({metric, true, metric + " (paper)"});
    }
  return columns;
}

std::string cell_of(const Sweep& sweep, const LabelResult& label, const Column& column) {
  if (!column.paper) return spread_text(spread_of(label, column.metric));
  const auto value = paper_value(sweep, label.label, column.metric);
  return value ? number(*value) : "";
}

std::string to_markdown(const Sweep& sweep, const std::vector<LabelResult>& results) {
  const auto columns = columns_of(sweep, results);
  std::string text = cat("# ", sweep.title, "\n\n| run | seeds |"), rule = "| --- | --- |";
  for (const Column& column : columns) {
    text += " " + column.title + " |";
    rule += " --- |";
  }
  text += "\n" + rule + "\n";
  for (const LabelResult& label : results) {
    text += cat("| ", label.label, " | ", label.done, " of ", label.runs.size(), " |");
    for (const Column& column : columns) text += " " + cell_of(sweep, label, column) + " |";
    text += "\n";
  }
  text += cat("\nMean ± deviation over seeds of the mean of the last ", sweep.average,
              " records of each run. Base config: ", sweep.base.generic_string(), ".\n");
  for (const LabelResult& label : results)
    for (size_t i = 0; i < label.runs.size(); ++i)
      if (label.results[i].state.status == "failed")
        text += cat("\nFailed: ", label.label, ", seed ", label.runs[i]->seed, " (", label.runs[i]->id,
                    "): ", label.results[i].state.error, "\n");
  return text;
}

namespace {

std::string csv_quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::string to_csv(const Sweep& sweep, const std::vector<LabelResult>& results) {
  std::string text = "label,seed,id,status,step,seconds,error";
  const std::vector<std::string> metrics = shown_metrics(sweep, results);
  for (const std::string& metric : metrics) text += "," + csv_quoted(metric);
  text += "\r\n";
  for (const LabelResult& label : results)
    for (size_t i = 0; i < label.runs.size(); ++i) {
      const RunResult& result = label.results[i];
      text += cat(csv_quoted(label.label), ",", label.runs[i]->seed, ",", label.runs[i]->id, ",", result.state.status,
                  ",", result.state.step, ",", number(result.state.seconds), ",", csv_quoted(result.state.error));
      for (const std::string& metric : metrics) {
        const auto found = result.values.find(metric);
        text += "," + (found == result.values.end() ? std::string() : cat(found->second));
      }
      text += "\r\n";
    }
  return text;
}

fs::path write_report(const Sweep& sweep) {
  const auto results = read_results(sweep);
  fs::create_directories(sweep.folder);
  write_atomically(sweep.folder / "report.md", to_markdown(sweep, results));
  write_atomically(sweep.folder / "report.csv", to_csv(sweep, results));
  write_atomically(sweep.folder / "report.html", to_html(sweep, results));
  check_written(sweep, results);
  return sweep.folder;
}

}  // namespace gigacat::sweep
