// One page without other files: curves as SVG, sample grids as data addresses.
#include <cmath>
#include <cstdint>
#include <map>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/report/chart.h"
#include "gigacat/report/html.h"
#include "sweep/metrics.h"
#include "sweep/report_text.h"

namespace gigacat::sweep {
namespace {

using report::escape_html;

// Mean over the seeds at each step, with a band of a deviation to both sides where several seeds have it.
report::Line mean_line(const LabelResult& label, const std::string& metric, size_t colour) {
  std::map<int64_t, std::vector<double>> values;
  for (const RunResult& result : label.results)
    if (const auto curve = result.curves.find(metric); curve != result.curves.end())
      for (const report::Point& point : curve->second)
        if (std::isfinite(point.y)) values[std::llround(point.x)].push_back(point.y);
  report::Line line{.name = label.label, .colour = colour, .dashed = false, .points = {}, .band = {}};
  for (const auto& [step, of_seeds] : values) {
    const Spread spread = spread_of(of_seeds);
    const auto x = static_cast<double>(step);
    line.points.push_back({x, spread.mean});
    if (spread.count > 1) line.band.push_back({x, spread.mean - spread.deviation, spread.mean + spread.deviation});
  }
  return line;
}

std::string charts(const Sweep& sweep, const std::vector<LabelResult>& results) {
  std::string html;
  for (const std::string& metric : shown_metrics(sweep, results)) {
    report::Chart chart{.title = metric, .x_label = "step", .lines = {}, .marks = {}};
    for (size_t i = 0; i < results.size(); ++i) chart.lines.push_back(mean_line(results[i], metric, i));
    if (const std::string svg = report::to_svg(chart); !svg.empty()) html += "<figure>" + svg + "</figure>\n";
  }
  if (html.empty()) return "";
  return "<h2>Curves</h2>\n<p class=\"note\">Means over the seeds; bands are one deviation to both sides.</p>\n"
         "<div class=\"row\">\n" +
         html + "</div>\n";
}

std::string table(const Sweep& sweep, const std::vector<LabelResult>& results) {
  const auto columns = columns_of(sweep, results);
  std::string html = "<div class=\"wide\"><table><tr><th>run</th><th>seeds</th>";
  for (const Column& column : columns) html += "<th>" + escape_html(column.title) + "</th>";
  html += "</tr>\n";
  for (size_t i = 0; i < results.size(); ++i) {
    html += cat("<tr><td><span style=\"color:", report::colour_of(i), "\">&#9632;</span> ",
                escape_html(results[i].label), "</td><td>", results[i].done, " of ", results[i].runs.size(), "</td>");
    for (const Column& column : columns) html += "<td>" + escape_html(cell_of(sweep, results[i], column)) + "</td>";
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

// Width of a PNG, from its header.
int64_t png_width(const std::string& png) {
  constexpr size_t kPlace = 16, kBytes = 4;
  int64_t width = 0;
  for (size_t i = kPlace; i < kPlace + kBytes && i < png.size(); ++i) width = width << 8 | static_cast<uint8_t>(png[i]);
  return width;
}

// An image enlarged by a whole number to at most 608 pixels, the width of a chart, or as large as it is.
std::string image(const std::string& png) {
  constexpr int64_t kWidth = 608;
  const int64_t width = std::max<int64_t>(1, png_width(png)), factor = std::max<int64_t>(1, kWidth / width);
  return cat("<img alt=\"samples\" style=\"width:", width * factor, "px\" src=\"", report::data_address(png, "png"),
             "\">");
}

std::string sample_grids(const std::vector<LabelResult>& results) {
  std::string html;
  for (const LabelResult& label : results) {
    if (label.results.empty() || label.results.front().sample_grid.empty()) continue;
    html += cat("<figure><figcaption>", escape_html(label.label), ", seed ", label.runs.front()->seed, ", step ",
                label.results.front().state.step, "</figcaption>", image(read_file(label.results.front().sample_grid)),
                "</figure>\n");
  }
  return html.empty() ? "" : "<h2>Samples</h2>\n<div class=\"row\">\n" + html + "</div>\n";
}

}  // namespace

std::string to_html(const Sweep& sweep, const std::vector<LabelResult>& results) {
  std::string html = table(sweep, results);
  html += cat("<p>Mean ± deviation over seeds of the mean of the last ", sweep.average,
              " records of each run. Base config: ", escape_html(sweep.base.generic_string()),
              "; keys that differ: ", escape_html(join(varied_keys(sweep))), ".</p>\n", charts(sweep, results),
              sample_grids(results));
  for (const LabelResult& label : results)
    for (size_t i = 0; i < label.runs.size(); ++i)
      if (label.results[i].state.status == "failed")
        html += cat("<p class=\"warning\">Failed: ", escape_html(label.label), ", seed ", label.runs[i]->seed, ": ",
                    escape_html(label.results[i].state.error), "</p>\n");
  return report::html_page(sweep.title, html, report::hover_script());
}

}  // namespace gigacat::sweep
