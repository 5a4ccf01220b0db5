// Line charts as SVG that needs no other file and no script.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace gigacat::report {

struct Point {
  double x, y;
};

// Values low..high at x, as mean minus and plus the deviation over seeds.
struct Interval {
  double x, low, high;
};

struct Line {
  std::string name;   // in the legend; "": no entry there
  size_t colour = 0;  // see colour_of
  bool dashed = false;
  std::vector<Point> points;   // x ascending; points that are not finite are left out
  std::vector<Interval> band;  // filled behind the line in its colour; may be empty
};

// A vertical line, as where a run was restarted.
struct Mark {
  double x;
  std::string label;  // shown when the pointer rests on it
};

// Of an axis.
enum class Scale {
  automatic,  // logarithmic where all values are positive and the largest is over 200 times the smallest
  linear,
  logarithmic,  // values of zero and less are left out
};

struct Chart {
  std::string title, x_label;
  std::vector<Line> lines;
  std::vector<Mark> marks;
  Scale scale = Scale::automatic;    // of y
  double width = 560, height = 300;  // px
};

// A whole <svg> element: title, legend of the named lines where there are several, axes with ticks, bands, lines.
// Lines of over 500 points are drawn as means of up to 250 equal parts of x with a band from the least to the greatest
// value of each. The element's and the lines' data- attributes are what hover_script() (html.h) reads.
// "" when no line has a point that can be drawn.
std::string to_svg(const Chart& chart);

// "#1b6ca8": colours that differ, in turn.
std::string colour_of(size_t index);

// Round numbers (1, 2 or 5 times a power of ten) in low..high, `most` of them or fewer; of an empty range its one
// value. Errors: InternalError when a bound is not finite, low > high or most < 2.
std::vector<double> ticks(double low, double high, int most);
// Powers of ten in low..high, with 2 and 5 times those where the range is less than three decades.
// Errors: InternalError when low is not positive or low > high.
std::vector<double> logarithmic_ticks(double low, double high);
// Texts of an axis: as many decimals as its ticks need, thousands as "k", millions as "M": {0, 5e4} -> "0", "50k".
std::vector<std::string> tick_texts(const std::vector<double>& values);

}  // namespace gigacat::report
