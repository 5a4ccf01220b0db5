// One page without scripts and without other files: curves as SVG, pictures as data addresses.
#include <cmath>
#include <span>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "sweep/report_text.h"

namespace gigacat::sweep {
namespace {

constexpr double kWidth = 560, kHeight = 300, kLeft = 64, kBottom = 28, kTop = 10, kRight = 10;
constexpr const char* kColours[] = {"#1b6ca8", "#d1495b", "#2e8b57", "#edae49",
                                    "#7b4fa3", "#00798c", "#8c564b", "#555555"};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string base64(const std::string& bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += i + k > bytes.size() ? '=' : digits[group >> (18 - 6 * k) & 63];
  }
  return out;
}

std::string colour_of(size_t label) { return kColours[label % std::size(kColours)]; }

// The range that all curves of a metric lie in.
struct Range {
  double low = INFINITY, high = -INFINITY, last_step = 1;
};

Range range_of(const std::vector<LabelResult>& results, const std::string& metric) {
  Range range;
  for (const LabelResult& label : results)
    for (const RunResult& result : label.results) {
      const auto curve = result.curves.find(metric);
      if (curve == result.curves.end()) continue;
      for (const auto& [step, value] : curve->second) {
        if (!std::isfinite(value)) continue;
        range.low = std::min(range.low, value);
        range.high = std::max(range.high, value);
        range.last_step = std::max(range.last_step, static_cast<double>(step));
      }
    }
  if (range.high - range.low < 1e-12) range.high = range.low + 1;
  return range;
}

std::string polyline(const Curve& curve, const Range& range, const std::string& colour) {
  std::string points;
  for (const auto& [step, value] : curve) {
    if (!std::isfinite(value)) continue;
    const double x = kLeft + (kWidth - kLeft - kRight) * static_cast<double>(step) / range.last_step;
    const double y = kTop + (kHeight - kTop - kBottom) * (range.high - value) / (range.high - range.low);
    points += cat(std::round(x * 10) / 10, ",", std::round(y * 10) / 10, " ");
  }
  return cat("<polyline fill=\"none\" stroke=\"", colour, "\" stroke-width=\"1.5\" points=\"", points, "\"/>\n");
}

std::string chart(const std::vector<LabelResult>& results, const std::string& metric) {
  const Range range = range_of(results, metric);
  if (!std::isfinite(range.low)) return "";
  const double bottom = kHeight - kBottom;
  std::string svg =
      cat("<figure><figcaption>", escaped(metric), "</figcaption><svg viewBox=\"0 0 ", kWidth, " ", kHeight, "\">\n");
  svg +=
      cat("<path fill=\"none\" stroke=\"#999\" d=\"M", kLeft, " ", kTop, "V", bottom, "H", kWidth - kRight, "\"/>\n");
  const auto text = [&svg](double x, double y, const char* anchor, const std::string& words) {
    svg += cat("<text x=\"", x, "\" y=\"", y, "\" text-anchor=\"", anchor, "\">", words, "</text>\n");
  };
  text(kLeft - 6, kTop + 8, "end", number(range.high));
  text(kLeft - 6, bottom, "end", number(range.low));
  text(kWidth - kRight, bottom + 18, "end", cat("step ", range.last_step));
  for (size_t i = 0; i < results.size(); ++i)
    for (const RunResult& result : results[i].results)
      if (const auto curve = result.curves.find(metric); curve != result.curves.end())
        svg += polyline(curve->second, range, colour_of(i));
  return svg + "</svg></figure>\n";
}

std::string table(const Sweep& sweep, const std::vector<LabelResult>& results) {
  const auto columns = columns_of(sweep);
  std::string html = "<table><tr><th>run</th><th>seeds</th>";
  for (const Column& column : columns) html += "<th>" + escaped(column.title) + "</th>";
  html += "</tr>\n";
  for (size_t i = 0; i < results.size(); ++i) {
    html += cat("<tr><td><span style=\"color:", colour_of(i), "\">&#9632;</span> ", escaped(results[i].label),
                "</td><td>", results[i].done, " of ", results[i].runs.size(), "</td>");
    for (const Column& column : columns) html += "<td>" + escaped(cell_of(sweep, results[i], column)) + "</td>";
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

std::string pictures(const std::vector<LabelResult>& results) {
  std::string html;
  for (const LabelResult& label : results) {
    if (label.results.empty() || label.results.front().sample_grid.empty()) continue;
    html += cat("<figure><figcaption>", escaped(label.label), ", seed ", label.runs.front()->seed, ", step ",
                label.results.front().state.step, "</figcaption><img alt=\"samples\" src=\"data:image/png;base64,",
                base64(read_file(label.results.front().sample_grid)), "\"></figure>\n");
  }
  return html.empty() ? "" : "<h2>Samples</h2>\n<div class=\"row\">\n" + html + "</div>\n";
}

constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:left}"
    ".row{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;flex:1 1 22rem;max-width:35rem}"
    "figcaption{font-weight:600}svg{width:100%}svg text{font-size:12px;fill:#555}"
    "img{width:100%;image-rendering:pixelated}";

}  // namespace

std::string to_html(const Sweep& sweep, const std::vector<LabelResult>& results) {
  std::string html =
      cat("<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>", escaped(sweep.title), "</title><style>",
          kStyle, "</style>\n<h1>", escaped(sweep.title), "</h1>\n", table(sweep, results));
  html += cat("<p>Mean ± deviation over seeds of the mean of the last ", sweep.average,
              " records of each run. Base config: ", escaped(sweep.base.generic_string()),
              "; keys that differ: ", escaped(join(varied_keys(sweep))), ".</p>\n");
  std::string charts;
  for (const std::string& metric : sweep.metrics) charts += chart(results, metric);
  if (!charts.empty()) html += "<h2>Curves</h2>\n<div class=\"row\">\n" + charts + "</div>\n";
  html += pictures(results);
  for (const LabelResult& label : results)
    for (size_t i = 0; i < label.runs.size(); ++i)
      if (label.results[i].state.status == "failed")
        html += cat("<p>Failed: ", escaped(label.label), ", seed ", label.runs[i]->seed, ": ",
                    escaped(label.results[i].state.error), "</p>\n");
  return html + "</html>\n";
}

}  // namespace gigacat::sweep
