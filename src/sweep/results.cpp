#include <algorithm>
#include <cmath>

#include "gigacat/run/run_folder.h"
#include "gigacat/sweep/report.h"

namespace gigacat::sweep {
namespace {

RunResult read_result(const Sweep& sweep, const Run& run) {
  RunResult result;
  result.state = state_of(sweep, run);
  if (result.state.run.empty()) return result;
  const auto folder = run::RunFolder::open(result.state.run);
  result.curves = report::read_metrics(folder.metrics()).curves;
  if (const auto grids = report::find_grids(folder.samples()); !grids.empty()) result.sample_grid = grids.back().file;
  for (const auto& [name, curve] : result.curves) {
    // Evaluations are rare: only the last one counts.
    const int64_t records = name.starts_with("eval/") ? 1 : sweep.average;
    const auto count = std::min<int64_t>(records, std::ssize(curve));
    double sum = 0;
    for (int64_t i = std::ssize(curve) - count; i < std::ssize(curve); ++i) sum += curve[static_cast<size_t>(i)].y;
    result.values[name] = sum / static_cast<double>(count);
  }
  return result;
}

}  // namespace

Spread spread_of(const std::vector<double>& values) {
  Spread spread;
  spread.count = std::ssize(values);
  if (values.empty()) return spread;
  for (const double value : values) spread.mean += value / static_cast<double>(values.size());
  double squares = 0;
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  if (values.size() > 1) spread.deviation = std::sqrt(squares / static_cast<double>(values.size() - 1));
  return spread;
}

Spread spread_of(const LabelResult& label, const std::string& metric) {
  std::vector<double> values;
  for (const RunResult& result : label.results) {
    const auto found = result.values.find(metric);
    if (result.state.status == "done" && found != result.values.end()) values.push_back(found->second);
  }
  return spread_of(values);
}

std::vector<LabelResult> read_results(const Sweep& sweep) {
  std::vector<LabelResult> labels;
  for (const Run& run : sweep.runs) {
    auto label = std::find_if(labels.begin(), labels.end(), [&](const auto& item) { return item.label == run.label; });
    if (label == labels.end()) label = labels.insert(labels.end(), LabelResult{.label = run.label});
    label->runs.push_back(&run);
    label->results.push_back(read_result(sweep, run));
    if (label->results.back().state.status == "done") ++label->done;
  }
  return labels;
}

}  // namespace gigacat::sweep
