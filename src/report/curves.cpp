// Which metrics stand in which chart, and what each of them says.
#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "gigacat/core/text.h"
#include "gigacat/report/html.h"
#include "report/sections.h"

namespace gigacat::report {
namespace {

// What a chart shows, for its reader.
struct Explained {
  std::string_view name, text;
};
constexpr Explained kExplained[] = {
    {"loss", "What D and G minimise. In a healthy run both settle and keep moving; D near 0 while G grows: D has won."},
    {"D/accuracy_real", "Share of real images that D calls real. 1 together with accuracy_fake 1: D has won."},
    {"D/accuracy_fake", "Share of generated images that D calls generated."},
    {"diversity", "Mean distance between samples of one class from fixed latents. Falling toward 0: collapse."},
    {"grad_norm",
     "Length of the whole gradient before clipping. Steady growth by powers of ten comes before divergence."},
    {"D/r1", "Squared gradient of D at real images, before its weight. Growing: D bends sharply around the data."},
    {"D/r2", "Squared gradient of D at generated images, before its weight."},
    {"discrepancy", "Distance of each stage's image to the last one's, in units of the last one's length."},
    {"rewrite", "How much each stage changes the image of the stage before."},
    {"direction", "Cosine between a stage's change and the way to the last image: 1 is the straight way."},
    {"G/consistency", "Distance between the stages' images and the last one's, before its weight."},
    {"G/psnr", "Of the enlarged image against the original, in dB."},
    {"skipped", "Steps left out because a gradient was not finite, in all."},
    {"time", "Share of the time that waits for data, trains D, trains G, and does everything else."},
    {"images_per_second", "Real images that the run has gone through in a second."},
};

std::string_view explanation_of(const std::string& chart) {
  for (const Explained& item : kExplained)
    if (item.name == chart) return item.text;
  return "";
}

struct Group {
  std::string title;
  bool open;                                                             // shown at once
  std::vector<std::pair<std::string, std::vector<std::string>>> charts;  // name, metrics

  // Metrics that share a chart are told from one another by their order.
  void add(const std::string& chart, const std::string& metric) {
    for (auto& [name, metrics] : charts)
      if (name == chart) return metrics.push_back(metric);
    charts.push_back({chart, {metric}});
  }
};

// Part of the name before "/", or all of it.
std::string prefix_of(const std::string& metric) { return metric.substr(0, metric.find('/')); }

bool is_always_zero(const Runs& runs, const std::string& metric) {
  for (const RunRecord& run : runs)
    if (const auto curve = run.metrics.curves.find(metric); curve != run.metrics.curves.end())
      for (const Point& point : curve->second)
        if (point.y != 0) return false;
  return true;
}

std::vector<Group> group_metrics(const Runs& runs) {
  std::set<std::string> names;
  for (const RunRecord& run : runs)
    for (const auto& [name, curve] : run.metrics.curves) names.insert(name);
  const bool several = runs.size() > 1;
  enum { kMain, kTerms, kEvaluation, kOptimiser, kSpeed, kOther };
  std::vector<Group> groups = {{"Curves", true, {}},
                               {"Terms of the losses", true, {}},
                               {"Evaluation", true, {}},
                               {"Gradients and learning rates", true, {}},
                               {"Speed and memory", false, {}},
                               {"Other figures", false, {}}};
  for (const std::string& name : names) {
    const std::string prefix = prefix_of(name);
    if (name == "kimg" || name == "D/d_total" || name == "G/g_total") continue;  // equal to step and loss
    if (name == "D/loss" || name == "G/loss")
      groups[kMain].add("loss", name);
    else if (name == "D/accuracy_real" || name == "D/accuracy_fake")
      groups[kMain].add(several ? name : "accuracy of D", name);
    else if (prefix == "D" || prefix == "G")
      groups[kTerms].add(name, name);
    else if (prefix == "eval")
      groups[kEvaluation].add(name, name);
    else if (prefix == "grad_norm" || prefix == "lr" || prefix == "loss_scale")
      groups[kOptimiser].add(prefix, name);
    else if (prefix == "skipped") {
      if (!is_always_zero(runs, name)) groups[kOptimiser].add(prefix, name);
    } else if (prefix == "time" || prefix == "memory")
      groups[kSpeed].add(several ? name : prefix, name);
    else if (name == "images_per_second" || name == "tflops" || name == "mfu")
      groups[kSpeed].add(name, name);
    else if (prefix == name)
      groups[kMain].add(name, name);
    else
      groups[kOther].add(several ? name : prefix, name);
  }
  std::stable_partition(groups[kMain].charts.begin(), groups[kMain].charts.end(),
                        [](const auto& chart) { return chart.first == "loss"; });
  return groups;
}

std::string unit_of(const std::string& chart) {
  if (prefix_of(chart) == "memory") return " (GiB)";
  return chart == "G/psnr" || chart == "G/psnr_bicubic" ? " (dB)" : "";
}

// Where runs are compared a colour is a run, and a second metric (G beside D) is dashed; else a colour is a metric.
std::string chart_of(const Runs& runs, const std::string& name, const std::vector<std::string>& metrics) {
  Chart chart{.title = name + unit_of(name), .x_label = "step"};
  const bool several = runs.size() > 1;
  for (size_t m = 0; m < metrics.size(); ++m)
    for (size_t r = 0; r < runs.size(); ++r) {
      const auto curve = runs[r].metrics.curves.find(metrics[m]);
      if (curve == runs[r].metrics.curves.end()) continue;
      const std::string line = !several             ? metrics[m]
                               : metrics.size() > 1 ? runs[r].name + " " + metrics[m]
                                                    : runs[r].name;
      chart.lines.push_back({.name = line,
                             .colour = several ? r : m,
                             .dashed = several && m % 2 == 1,
                             .points = curve->second,
                             .band = {}});
    }
  for (const RunRecord& run : runs)
    for (const Event& event : run.events)
      if (event.kind == "resumed")
        chart.marks.push_back({static_cast<double>(event.step), cat(run.name, " was resumed after step ", event.step)});
  const std::string svg = to_svg(chart);
  if (svg.empty()) return "";
  return cat("<figure>", svg, "<div class=\"note\">", escape_html(explanation_of(name)), "</div></figure>\n");
}

}  // namespace

std::string curves_section(const Runs& runs) {
  std::string html;
  for (const Group& group : group_metrics(runs)) {
    std::string charts;
    for (const auto& [name, metrics] : group.charts) charts += chart_of(runs, name, metrics);
    if (charts.empty()) continue;
    html += cat("<details", group.open ? " open" : "", "><summary><h2 style=\"display:inline\">", group.title,
                "</h2></summary>\n<div class=\"charts\">\n", charts, "</div></details>\n");
  }
  return html.empty() ? "<p class=\"note\">No metrics have been written yet.</p>\n" : html;
}

}  // namespace gigacat::report
