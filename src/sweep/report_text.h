// What the forms of a report share.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "gigacat/sweep/report.h"

namespace gigacat::sweep {

// Four digits.
std::string number(double value);
// "1.2 ± 0.1"; "" when no run is done.
std::string spread_text(const Spread& spread);

// A column of the table: a metric of ours, or the paper's figure for it.
struct Column {
  std::string metric;
  bool paper;
  std::string title;
};
std::vector<Column> columns_of(const Plan& plan);
std::string cell_of(const Plan& plan, const LabelResult& label, const Column& column);

}  // namespace gigacat::sweep
