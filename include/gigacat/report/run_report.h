// Runs as one HTML page that needs no other file.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "gigacat/report/run_record.h"

namespace gigacat::report {

struct ReportOptions {
  std::string title;       // "": the runs' names
  size_t most_grids = 40;  // of a run, evenly chosen, with the first and the last
};

// Summary, sample grids with a slider, curves, evaluation results, events, and config values that differ between the
// runs and from the defaults. Errors: Error when a picture cannot be read; UsageError for no run at all.
std::string to_html(const std::vector<RunRecord>& runs, const ReportOptions& options = {});

}  // namespace gigacat::report
