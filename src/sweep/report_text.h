// Shared by the three forms of a report.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "gigacat/sweep/report.h"

namespace gigacat::sweep {

// Four digits.
std::string number(double value);
// "1.20 ± 0.13", rounded by the deviation; "" when no run is done.
std::string spread_text(const Spread& spread);

// A column of the table: measured values of a metric, or the paper's.
struct Column {
  std::string metric;
  bool paper;
  std::string title;
};
std::vector<Column> columns_of(const Sweep& sweep, const std::vector<LabelResult>& results);
std::string cell_of(const Sweep& sweep, const LabelResult& label, const Column& column);

}  // namespace gigacat::sweep
