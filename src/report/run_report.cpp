#include "gigacat/report/run_report.h"

#include <algorithm>
#include <cstdio>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/report/html.h"
#include "report/sections.h"

namespace gigacat::report {
namespace {

// The last `parts` components of a run's path.
std::string end_of_path(const RunRecord& run, int parts) {
  fs::path rest = fs::absolute(run.folder).lexically_normal(), end;
  if (!rest.has_filename()) rest = rest.parent_path();  // "runs/00000-cat/"
  for (int i = 0; i < parts && rest.has_filename(); ++i, rest = rest.parent_path())
    end = end.empty() ? rest.filename() : rest.filename() / end;
  return end.string();
}

// Runs of equal names get the folders above them, as few as make them differ: "first/00000-cat", "second/00000-cat".
Runs with_distinct_names(Runs runs) {
  constexpr int kMostParts = 16;
  const auto clash = [&](const RunRecord& run) {
    return std::count_if(runs.begin(), runs.end(), [&](const RunRecord& other) { return other.name == run.name; }) > 1;
  };
  for (int parts = 2; parts <= kMostParts; ++parts) {
    std::vector<RunRecord*> equal;
    for (RunRecord& run : runs)
      if (clash(run)) equal.push_back(&run);
    for (RunRecord* run : equal) run->name = end_of_path(*run, parts);
  }
  return runs;
}

}  // namespace

std::string html_table(const std::vector<std::vector<std::string>>& rows) {
  std::string html = "<div class=\"wide\"><table>\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    const char* const cell = i == 0 ? "th" : "td";
    html += "<tr>";
    for (const std::string& content : rows[i]) html += cat("<", cell, ">", content, "</", cell, ">");
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string to_html(const Runs& given, const ReportOptions& options) {
  if (given.empty()) fail<UsageError>("no run to report on");
  const Runs runs = with_distinct_names(given);
  std::vector<std::string> names;
  for (const RunRecord& run : runs) names.push_back(run.name);
  const std::string title = options.title.empty() ? join(names, ", ") : options.title;
  const std::string body = summary_section(runs) + grids_section(runs, options.most_grids) + curves_section(runs) +
                           evaluation_section(runs) + events_section(runs) + config_section(runs);
  return html_page(title, body, cat(hover_script(), grids_script()));
}

}  // namespace gigacat::report
