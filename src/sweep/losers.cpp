#include "sweep/losers.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gigacat/core/error.h"
#include "gigacat/sweep/report.h"

namespace gigacat::sweep {
namespace {

// A label in the race: how bad it is, and its runs.
struct Entrant {
  double badness = 0;
  std::vector<const Run*> runs;
};

// Mean over the runs that have the figure; infinite when none has.
double badness_of(const LabelResult& label, const std::string& metric, bool higher_is_better) {
  double sum = 0;
  int64_t count = 0;
  for (const RunResult& result : label.results) {
    const auto found = result.figures.find(metric);
    if (found == result.figures.end() || !std::isfinite(found->second)) continue;
    sum += found->second;
    ++count;
  }
  if (count == 0) return std::numeric_limits<double>::infinity();
  return (higher_is_better ? -sum : sum) / static_cast<double>(count);
}

}  // namespace

std::vector<const Run*> losers(const Plan& plan, int64_t steps) {
  const std::string& metric = plan.halving.metric;
  const auto& higher = plan.higher_is_better;
  const bool is_higher_better = std::find(higher.begin(), higher.end(), metric) != higher.end();
  std::vector<Entrant> race;
  for (const LabelResult& label : read_results(plan)) {
    Entrant entrant{.badness = badness_of(label, metric, is_higher_better)};
    for (size_t i = 0; i < label.runs.size(); ++i) {
      const RunState& state = label.results[i].state;
      if (state.status == "stopped" && state.step >= steps) entrant.runs.push_back(label.runs[i]);
    }
    if (!entrant.runs.empty()) race.push_back(std::move(entrant));
  }
  if (race.empty()) return {};
  std::stable_sort(race.begin(), race.end(), [](const auto& a, const auto& b) { return a.badness < b.badness; });
  if (std::isinf(race.front().badness))
    fail<UsageError>("halving.metric: no run has written a figure ", metric, " by step ", steps);
  const auto kept = static_cast<size_t>((std::ssize(race) + plan.halving.factor - 1) / plan.halving.factor);
  std::vector<const Run*> lost;
  for (size_t i = kept; i < race.size(); ++i) lost.insert(lost.end(), race[i].runs.begin(), race[i].runs.end());
  return lost;
}

}  // namespace gigacat::sweep
