#include "gigacat/report/run_report.h"

#include <cstdio>

#include "gigacat/core/error.h"
#include "gigacat/report/html.h"
#include "report/sections.h"

namespace gigacat::report {

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

std::string to_html(const Runs& runs, const ReportOptions& options) {
  if (runs.empty()) fail<UsageError>("no run to report on");
  std::vector<std::string> names;
  for (const RunRecord& run : runs) names.push_back(run.name);
  const std::string title = options.title.empty() ? join(names, ", ") : options.title;
  const std::string body = summary_section(runs) + grids_section(runs, options.most_grids) + curves_section(runs) +
                           evaluation_section(runs) + events_section(runs) + config_section(runs);
  return html_page(title, body, cat(hover_script(), grids_script()));
}

}  // namespace gigacat::report
