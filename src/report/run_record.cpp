#include "gigacat/report/run_record.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/host.h"
#include "gigacat/run/run_folder.h"

namespace gigacat::report {
namespace {

using nlohmann::json;

void flatten(const json& value, const std::string& path, std::map<std::string, std::string>& out) {
  if (value.is_object())
    for (const auto& [key, child] : value.items()) flatten(child, path.empty() ? key : path + "." + key, out);
  else
    out[path] = value.is_string() ? value.get<std::string>() : value.dump();
}

// Whether the process that run.json names runs on this machine.
bool is_alive(const std::map<std::string, std::string>& info) {
  const auto process = info.find("process"), host = info.find("host");
  if (process == info.end() || host == info.end() || host->second != host_name()) return false;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/" + process->second + "/exe", error);
  return !error && program == fs::read_symlink("/proc/self/exe", error);
}

BestCheckpoint best_of(const json& best) {
  if (!best.is_object() || !best.contains("value") || !best["value"].is_number()) return {};
  return {best.value("metric", ""), best["value"].get<double>(), best.value("step", int64_t{0})};
}

std::string six_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

// `text`: a JSON object of eval::to_json.
EvaluationRecord evaluation_of(int64_t step, const json& text) {
  EvaluationRecord record;
  record.step = step;
  record.real = text.value("real", "");
  record.real_images = text.value("real_images", int64_t{0});
  record.fake_images = text.value("fake_images", int64_t{0});
  if (!text.contains("results") || !text["results"].is_object()) return record;
  for (const auto& [name, value] : text["results"].items())
    record.figures.emplace_back(name, value.is_number()   ? six_digits(value.get<double>())
                                      : value.is_string() ? value.get<std::string>()
                                                          : value.dump());
  return record;
}

void add_numbers(double step, const json& numbers, const std::string& prefix, Curves& curves) {
  for (const auto& [name, value] : numbers.items())
    if (name != "step" && value.is_number()) curves[prefix + name].push_back({step, value.get<double>()});
}

// Errors: those of json.
void read_line(const json& line, MetricsFile& metrics) {
  const double step = line.at("step").get<double>();
  add_numbers(step, line, "", metrics.curves);
  if (!line.contains("eval")) return;
  const json& evaluation = line["eval"];
  metrics.evaluations.push_back(evaluation_of(static_cast<int64_t>(step), evaluation));
  add_numbers(step, evaluation.value("results", json::object()), "eval/", metrics.curves);
}

}  // namespace

MetricsFile read_metrics(const fs::path& file) {
  MetricsFile metrics;
  if (!fs::exists(file)) return metrics;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    try {
      read_line(json::parse(line), metrics);
    } catch (const json::exception&) {
      ++metrics.damaged_lines;
    }
  }
  return metrics;
}

std::vector<SampleGrid> find_grids(const fs::path& samples) {
  std::vector<SampleGrid> grids;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(samples, error)) {
    const fs::path& path = entry.path();
    const std::string name = path.stem().string();
    if (path.extension() != ".png" || !name.starts_with("fakes-")) continue;
    const std::string digits = name.substr(6);
    if (digits.empty() || digits.size() > 15 || digits.find_first_not_of("0123456789") != std::string::npos) continue;
    grids.push_back({std::stoll(digits), path});
  }
  std::sort(grids.begin(), grids.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return grids;
}

RunRecord read_run(const fs::path& folder) {
  const auto run = run::RunFolder::open(folder);
  RunRecord record;
  record.folder = run.path();
  record.name = fs::absolute(run.path()).lexically_normal().filename().string();
  if (record.name.empty()) record.name = fs::absolute(run.path()).lexically_normal().parent_path().filename().string();
  record.config = read_file(run.config());
  flatten(run.info(), "", record.info);
  if (const fs::path best = run.path() / "best.json"; fs::exists(best))
    record.best = best_of(json::parse(read_file(best), nullptr, /*allow_exceptions=*/false));
  record.metrics = read_metrics(run.metrics());
  record.grids = find_grids(run.samples());
  if (fs::exists(run.samples() / "reals-0000000.png")) record.reals = run.samples() / "reals-0000000.png";
  if (fs::exists(run.log())) read_log(read_file(run.log()), is_alive(record.info), record.sessions, record.events);
  return record;
}

}  // namespace gigacat::report
