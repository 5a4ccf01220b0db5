#include "gigacat/report/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>

#include "gigacat/core/text.h"
#include "gigacat/report/html.h"
#include "report/axis.h"

namespace gigacat::report {
namespace {

constexpr const char* kColours[] = {"#1b6ca8", "#d1495b", "#2e8b57", "#e08e0b",
                                    "#7b4fa3", "#00a3b4", "#8c564b", "#555555"};
constexpr double kLeft = 58, kRight = 18, kBottom = 40, kTitle = 24, kLegendRow = 18;
constexpr double kCharacter = 6.7;  // width of one at 12 px, for the layout of the legend
constexpr size_t kMostPoints = 500, kParts = 250;
constexpr double kManyFold = 200;  // largest over smallest value from which an axis is logarithmic

std::string pixels(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string figure(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

// Means over equal parts of x, and the least and greatest value of each part.
Line thinned(Line line) {
  if (line.points.size() <= kMostPoints) return line;
  const double first = line.points.front().x, last = line.points.back().x;
  std::vector<Point> means;
  std::vector<Interval> band;
  size_t begin = 0;
  for (size_t part = 1; part <= kParts; ++part) {
    const double edge = first + (last - first) * static_cast<double>(part) / kParts;
    size_t end = begin;
    Point sum{0, 0};
    Interval range{0, INFINITY, -INFINITY};
    for (; end < line.points.size() && (line.points[end].x <= edge || part == kParts); ++end) {
      const Point& point = line.points[end];
      sum = {sum.x + point.x, sum.y + point.y};
      range = {0, std::min(range.low, point.y), std::max(range.high, point.y)};
    }
    if (end == begin) continue;
    const auto count = static_cast<double>(end - begin);
    range.x = sum.x / count;
    means.push_back({sum.x / count, sum.y / count});
    band.push_back(range);
    begin = end;
  }
  line.points = std::move(means);
  if (line.band.empty()) line.band = std::move(band);
  return line;
}

bool is_finite(const Point& point) { return std::isfinite(point.x) && std::isfinite(point.y); }
bool is_finite(const Interval& part) {
  return std::isfinite(part.x) && std::isfinite(part.low) && std::isfinite(part.high);
}

// Whether the chart's values are drawn on a logarithmic axis.
bool is_logarithmic(const Chart& chart) {
  if (chart.scale != Scale::automatic) return chart.scale == Scale::logarithmic;
  double low = INFINITY, high = -INFINITY;
  for (const Line& line : chart.lines)
    for (const Point& point : line.points) {
      if (!is_finite(point)) continue;
      low = std::min(low, point.y);
      high = std::max(high, point.y);
    }
  return low > 0 && high > kManyFold * low;
}

// The lines as they are drawn: thinned, without what cannot be shown.
std::vector<Line> drawable(const Chart& chart, bool logarithmic) {
  std::vector<Line> lines;
  for (Line line : chart.lines) {
    std::erase_if(line.points, [&](const Point& p) { return !is_finite(p) || (logarithmic && p.y <= 0); });
    if (line.points.empty()) continue;
    line = thinned(std::move(line));
    std::erase_if(line.band, [](const Interval& part) { return !is_finite(part); });
    if (logarithmic)  // a deviation may reach below zero
      for (Interval& part : line.band)
        if (part.low <= 0) part.low = part.high / 10;
    std::erase_if(line.band, [&](const Interval& part) { return logarithmic && part.high <= 0; });
    lines.push_back(std::move(line));
  }
  return lines;
}

struct Layout {
  Axis x, y;
  double width, height, top;
};

// Rows of the legend: indices of lines.
std::vector<std::vector<size_t>> legend_rows(const std::vector<Line>& lines, double width) {
  std::vector<std::vector<size_t>> rows;
  double used = width;
  if (std::count_if(lines.begin(), lines.end(), [](const Line& line) { return !line.name.empty(); }) < 2) return rows;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].name.empty()) continue;
    const double wanted = 36 + kCharacter * static_cast<double>(lines[i].name.size());
    if (used + wanted > width) {
      rows.emplace_back();
      used = 0;
    }
    rows.back().push_back(i);
    used += wanted;
  }
  return rows;
}

Layout make_layout(const Chart& chart, const std::vector<Line>& lines, bool logarithmic, size_t legend) {
  double left = INFINITY, right = -INFINITY, low = INFINITY, high = -INFINITY;
  for (const Line& line : lines) {
    left = std::min(left, line.points.front().x);
    right = std::max(right, line.points.back().x);
    for (const Point& point : line.points) {
      low = std::min(low, point.y);
      high = std::max(high, point.y);
    }
    for (const Interval& part : line.band) {
      low = std::min(low, part.low);
      high = std::max(high, part.high);
    }
  }
  Layout layout{{}, padded_axis(low, high, logarithmic, 6), chart.width, chart.height, 0};
  layout.top = (chart.title.empty() ? 8 : kTitle + 6) + kLegendRow * static_cast<double>(legend);
  layout.height += kLegendRow * static_cast<double>(legend);
  layout.y.first_pixel = layout.height - kBottom;
  layout.y.last_pixel = layout.top;
  if (left > 0 && left < right / 2) left = 0;
  layout.x.low = left == right ? left - 1 : left;
  layout.x.high = left == right ? left + 1 : right;
  layout.x.first_pixel = kLeft;
  layout.x.last_pixel = chart.width - kRight;
  layout.x.ticks = ticks(layout.x.low, layout.x.high, 8);
  return layout;
}

std::string text_at(double x, double y, const char* anchor, const std::string& words, const char* more = "") {
  return cat("<text x=\"", pixels(x), "\" y=\"", pixels(y), "\" text-anchor=\"", anchor, "\"", more, ">",
             escape_html(words), "</text>\n");
}

std::string axes(const Layout& layout, const std::string& x_label) {
  const double bottom = layout.y.first_pixel, left = layout.x.first_pixel, right = layout.x.last_pixel;
  std::string svg;
  const std::vector<std::string> y_texts = tick_texts(layout.y.ticks), x_texts = tick_texts(layout.x.ticks);
  for (size_t i = 0; i < layout.y.ticks.size(); ++i) {
    const double y = layout.y.pixel(layout.y.ticks[i]);
    svg += cat("<path stroke=\"#e4e4e4\" d=\"M", pixels(left), " ", pixels(y), "H", pixels(right), "\"/>\n");
    svg += text_at(left - 6, y + 4, "end", y_texts[i]);
  }
  for (size_t i = 0; i < layout.x.ticks.size(); ++i) {
    const double x = layout.x.pixel(layout.x.ticks[i]);
    svg += cat("<path stroke=\"#888\" d=\"M", pixels(x), " ", pixels(bottom), "v4\"/>\n");
    svg += text_at(x, bottom + 17, "middle", x_texts[i]);
  }
  svg += cat("<path fill=\"none\" stroke=\"#888\" d=\"M", pixels(left), " ", pixels(layout.top), "V", pixels(bottom),
             "H", pixels(right), "\"/>\n");
  return svg + text_at((left + right) / 2, layout.height - 6, "middle", x_label);
}

std::string legend(const std::vector<Line>& lines, const std::vector<std::vector<size_t>>& rows, double top) {
  std::string svg;
  double y = top;
  for (const std::vector<size_t>& row : rows) {
    double x = kLeft;
    for (const size_t i : row) {
      svg +=
          cat("<path stroke-width=\"3\" stroke=\"", colour_of(lines[i].colour), "\"",
              lines[i].dashed ? " stroke-dasharray=\"5 3\"" : "", " d=\"M", pixels(x), " ", pixels(y - 4), "h18\"/>\n");
      svg += text_at(x + 23, y, "start", lines[i].name);
      x += 36 + kCharacter * static_cast<double>(lines[i].name.size());
    }
    y += kLegendRow;
  }
  return svg;
}

std::string band_of(const Line& line, const Layout& layout) {
  if (line.band.empty()) return "";
  std::string points;
  for (const Interval& part : line.band)
    points += cat(pixels(layout.x.pixel(part.x)), ",", pixels(layout.y.pixel(part.high)), " ");
  for (auto part = line.band.rbegin(); part != line.band.rend(); ++part)
    points += cat(pixels(layout.x.pixel(part->x)), ",", pixels(layout.y.pixel(part->low)), " ");
  return cat("<polygon stroke=\"none\" fill-opacity=\"0.18\" fill=\"", colour_of(line.colour), "\" points=\"", points,
             "\"/>\n");
}

// The values stand in data- attributes, from which the page's script shows them.
std::string line_of(const Line& line, const Layout& layout) {
  std::string points, values, dots;
  for (const Point& point : line.points) {
    const std::string x = pixels(layout.x.pixel(point.x)), y = pixels(layout.y.pixel(point.y));
    points += cat(x, ",", y, " ");
    values += cat(figure(point.x), ",", figure(point.y), " ");
    if (line.points.size() <= 30)
      dots += cat("<circle r=\"2.5\" stroke=\"none\" fill=\"", colour_of(line.colour), "\" cx=\"", x, "\" cy=\"", y,
                  "\"/>\n");
  }
  return cat("<polyline class=\"line\" fill=\"none\" stroke-width=\"1.6\" stroke=\"", colour_of(line.colour), "\"",
             line.dashed ? " stroke-dasharray=\"5 3\"" : "", " data-name=\"", escape_html(line.name),
             "\" data-values=\"", values, "\" points=\"", points, "\"/>\n", dots);
}

std::string marks(const Chart& chart, const Layout& layout) {
  std::string svg;
  for (const Mark& mark : chart.marks) {
    if (mark.x < layout.x.low || mark.x > layout.x.high) continue;
    svg += cat("<path stroke=\"#999\" stroke-dasharray=\"2 3\" d=\"M", pixels(layout.x.pixel(mark.x)), " ",
               pixels(layout.top), "V", pixels(layout.y.first_pixel), "\"><title>", escape_html(mark.label),
               "</title></path>\n");
  }
  return svg;
}

}  // namespace

std::string colour_of(size_t index) { return kColours[index % std::size(kColours)]; }

std::string to_svg(const Chart& chart) {
  const bool logarithmic = is_logarithmic(chart);
  const std::vector<Line> lines = drawable(chart, logarithmic);
  if (lines.empty()) return "";
  const auto rows = legend_rows(lines, chart.width - kLeft - kRight);
  const Layout layout = make_layout(chart, lines, logarithmic, rows.size());
  std::string svg = cat("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 ", layout.width, " ",
                        layout.height, "\" font-family=\"system-ui,sans-serif\" font-size=\"12\" fill=\"#444\"",
                        " data-left=\"", pixels(layout.x.first_pixel), "\" data-right=\"", pixels(layout.x.last_pixel),
                        "\" data-top=\"", pixels(layout.top), "\" data-bottom=\"", pixels(layout.y.first_pixel),
                        "\" data-low=\"", figure(layout.x.low), "\" data-high=\"", figure(layout.x.high), "\">\n");
  if (!chart.title.empty())
    svg += text_at(kLeft, 17, "start", chart.title + (logarithmic ? " (logarithmic)" : ""),
                   " font-size=\"14\" font-weight=\"600\" fill=\"#222\"");
  svg += legend(lines, rows, (chart.title.empty() ? 8 : kTitle) + 14);
  svg += axes(layout, chart.x_label) + marks(chart, layout);
  for (const Line& line : lines) svg += band_of(line, layout);
  for (const Line& line : lines) svg += line_of(line, layout);
  return svg + "</svg>\n";
}

}  // namespace gigacat::report
