#include "sweep/metrics.h"

#include <algorithm>
#include <map>
#include <set>

#include "gigacat/core/error.h"
#include "gigacat/eval/evaluate.h"

namespace gigacat::sweep {
namespace {

// What runs write besides losses and evaluations.
const std::map<std::string, Better>& logged() {
  static const std::map<std::string, Better> names = {{"D/loss", Better::unknown},
                                                      {"G/loss", Better::unknown},
                                                      {"discrepancy", Better::lower},
                                                      {"rewrite", Better::lower},
                                                      {"direction", Better::higher},
                                                      {"diversity", Better::higher},
                                                      {"grad_norm/D", Better::unknown},
                                                      {"grad_norm/G", Better::unknown},
                                                      {"lr/D", Better::unknown},
                                                      {"lr/G", Better::unknown},
                                                      {"skipped/D", Better::lower},
                                                      {"skipped/G", Better::lower},
                                                      {"kimg", Better::unknown},
                                                      {"images_per_second", Better::higher},
                                                      {"time/data", Better::lower},
                                                      {"time/D", Better::lower},
                                                      {"time/G", Better::lower},
                                                      {"time/other", Better::lower},
                                                      {"tflops", Better::higher},
                                                      {"mfu", Better::higher},
                                                      {"memory/resident_gib", Better::lower},
                                                      {"memory/peak_resident_gib", Better::lower},
                                                      {"memory/device_gib", Better::lower},
                                                      {"memory/peak_device_gib", Better::lower},
                                                      {"G/psnr", Better::higher}};
  return names;
}

// "eval/fid@0.9" -> "fid"; "" for another name.
std::string evaluated(const std::string& metric) {
  return metric.starts_with("eval/") ? metric.substr(5, metric.find('@') - 5) : "";
}

std::vector<std::string> named_metrics(const Sweep& sweep) {
  std::vector<std::string> names = sweep.metrics;
  names.insert(names.end(), sweep.higher_is_better.begin(), sweep.higher_is_better.end());
  if (!sweep.halving.metric.empty()) names.push_back(sweep.halving.metric);
  return names;
}

std::string suggestion(const std::string& name, const std::vector<std::string>& known) {
  const std::string near = nearest(name, known);
  return near.empty() ? "" : cat("; did you mean ", near, "?");
}

std::set<std::string> written(const std::vector<LabelResult>& results) {
  std::set<std::string> names;
  for (const LabelResult& label : results)
    for (const RunResult& result : label.results)
      for (const auto& [name, curve] : result.curves) names.insert(name);
  return names;
}

}  // namespace

Better better_of(const Sweep& sweep, const std::string& metric) {
  const auto& higher = sweep.higher_is_better;
  if (std::find(higher.begin(), higher.end(), metric) != higher.end()) return Better::higher;
  if (const std::string name = evaluated(metric); !name.empty()) {
    const std::string owner = eval::metric_of(name);
    if (owner.empty() || name.ends_with("_std")) return Better::unknown;
    return eval::is_larger_better(owner) ? Better::higher : Better::lower;
  }
  const auto found = logged().find(metric);
  return found == logged().end() ? Better::unknown : found->second;
}

std::vector<std::string> shown_metrics(const Sweep& sweep, const std::vector<LabelResult>& results) {
  if (!sweep.metrics.empty()) return sweep.metrics;
  const std::set<std::string> names = written(results);
  std::vector<std::string> shown;
  for (const std::string& name : names)
    if (!evaluated(name).empty() && better_of(sweep, name) != Better::unknown) shown.push_back(name);
  for (const char* name : {"D/loss", "G/loss", "discrepancy", "rewrite", "direction", "diversity"})
    if (names.contains(name)) shown.push_back(name);
  return shown;
}

void check_names(const Sweep& sweep, const std::string& file) {
  std::vector<std::string> known;
  for (const auto& [name, better] : logged()) known.push_back(name);
  for (const std::string& name : eval::value_names()) known.push_back("eval/" + name);
  for (const std::string& metric : named_metrics(sweep)) {
    const std::string plain = metric.substr(0, metric.find('@'));
    if (std::find(known.begin(), known.end(), plain) != known.end()) continue;
    const bool is_term = metric.starts_with("D/") || metric.starts_with("G/");
    if (is_term || (suggestion(plain, known).empty() && evaluated(metric).empty())) continue;
    fail<UsageError>(file, ": no run writes a metric ", metric, suggestion(plain, known));
  }
}

void check_written(const Sweep& sweep, const std::vector<LabelResult>& results) {
  for (const LabelResult& label : results)
    for (const RunResult& result : label.results)
      if (result.state.status != "done" && result.state.status != "failed" && result.state.status != "pruned") return;
  const std::set<std::string> names = written(results);
  if (names.empty()) return;
  for (const std::string& metric : named_metrics(sweep))
    if (!names.contains(metric))
      fail<UsageError>("no run has written the metric ", metric, suggestion(metric, {names.begin(), names.end()}));
}

}  // namespace gigacat::sweep
