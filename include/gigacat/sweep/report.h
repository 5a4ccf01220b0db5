// The results of a sweep as tables and one page.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "gigacat/report/run_record.h"
#include "gigacat/sweep/runner.h"
#include "gigacat/sweep/sweep.h"

namespace gigacat::sweep {

// Results of one run.
struct RunResult {
  RunState state;
  report::Curves curves;                 // all records
  std::map<std::string, double> values;  // metric -> mean over the last records
  std::filesystem::path sample_grid;     // the last one; empty when there is none
};

// Runs of one label.
struct LabelResult {
  std::string label;
  std::vector<const Run*> runs;
  std::vector<RunResult> results;  // of those runs
  int64_t done = 0;
};

// Mean and deviation (n - 1; 0 for one) of a metric over the runs of a label that are done.
struct Spread {
  double mean = 0, deviation = 0;
  int64_t count = 0;
};
Spread spread_of(const LabelResult& label, const std::string& metric);
// Of any values.
Spread spread_of(const std::vector<double>& values);

// Reads all runs, by label in the sweep's order. Errors: Error when a file cannot be read.
std::vector<LabelResult> read_results(const Sweep& sweep);

// A table for each: label, seeds, mean and deviation of each metric, the paper's value where the sweep has one; failed
// runs with their errors.
std::string to_markdown(const Sweep& sweep, const std::vector<LabelResult>& results);
// A line for each run: label, seed, id, status, steps, seconds, metrics; RFC 4180.
std::string to_csv(const Sweep& sweep, const std::vector<LabelResult>& results);
// One page that needs no other file: the table, a curve of each metric, the samples of the first seed of each label
// side by side (equal latents where seeds are equal).
std::string to_html(const Sweep& sweep, const std::vector<LabelResult>& results);

// Writes report.md, report.csv, report.html into the sweep's folder; returns that. Errors: Error when a file cannot be
// written; UsageError, once they are, for a metric that no run has written.
std::filesystem::path write_report(const Sweep& sweep);

}  // namespace gigacat::sweep
