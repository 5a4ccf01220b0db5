#include "sweep/halving.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gigacat/core/error.h"
#include "gigacat/sweep/report.h"
#include "sweep/metrics.h"

namespace gigacat::sweep {
namespace {

// A label with its running runs; the lower the badness the better.
struct Candidate {
  double badness = 0;
  std::vector<const Run*> runs;
};

// Mean over the runs that have the metric; infinite when none has.
double badness_of(const LabelResult& label, const std::string& metric, bool higher_is_better) {
  double sum = 0;
  int64_t count = 0;
  for (const RunResult& result : label.results) {
    const auto found = result.values.find(metric);
    if (found == result.values.end() || !std::isfinite(found->second)) continue;
    sum += found->second;
    ++count;
  }
  if (count == 0) return std::numeric_limits<double>::infinity();
  return (higher_is_better ? -sum : sum) / static_cast<double>(count);
}

}  // namespace

std::vector<const Run*> eliminated_runs(const Sweep& sweep, int64_t steps) {
  const std::string& metric = sweep.halving.metric;
  const bool is_higher_better = better_of(sweep, metric) == Better::higher;
  std::vector<Candidate> candidates;
  for (const LabelResult& label : read_results(sweep)) {
    Candidate candidate{.badness = badness_of(label, metric, is_higher_better)};
    for (size_t i = 0; i < label.runs.size(); ++i) {
      const RunState& state = label.results[i].state;
      if (state.status == "stopped" && state.step >= steps) candidate.runs.push_back(label.runs[i]);
    }
    if (!candidate.runs.empty()) candidates.push_back(std::move(candidate));
  }
  if (candidates.empty()) return {};
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.badness < b.badness; });
  if (std::isinf(candidates.front().badness))
    fail<UsageError>("halving.metric: no run has written the metric ", metric, " by step ", steps);
  const auto kept = static_cast<size_t>((std::ssize(candidates) + sweep.halving.factor - 1) / sweep.halving.factor);
  std::vector<const Run*> worst;
  for (size_t i = kept; i < candidates.size(); ++i)
    worst.insert(worst.end(), candidates[i].runs.begin(), candidates[i].runs.end());
  return worst;
}

}  // namespace gigacat::sweep
