// The sections of a page on runs. Each is HTML, "" where there is nothing to show.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gigacat/report/run_record.h"

namespace gigacat::report {

using Runs = std::vector<RunRecord>;

// A table: the first row is its head; cells are HTML.
std::string html_table(const std::vector<std::vector<std::string>>& rows);
// Four digits.
std::string short_number(double value);

std::string summary_section(const Runs& runs);
std::string grids_section(const Runs& runs, size_t most_grids);
// The script that moves the slider of grids_section; it needs hover_script().
std::string_view grids_script();
std::string curves_section(const Runs& runs);
std::string evaluation_section(const Runs& runs);
std::string events_section(const Runs& runs);
std::string config_section(const Runs& runs);

}  // namespace gigacat::report
