// The map from values to pixels of one axis.
#pragma once

#include <vector>

namespace gigacat::report {

struct Axis {
  double low = 0, high = 1;                // values at the ends
  double first_pixel = 0, last_pixel = 1;  // pixels there
  bool logarithmic = false;
  std::vector<double> ticks;

  double pixel(double value) const;
};

// The range of an axis around the values low..high, which may be equal: a little wider than they are.
Axis padded_axis(double low, double high, bool logarithmic, int most_ticks);

}  // namespace gigacat::report
