#include "gigacat/info/cluster_plan.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "info/text_line.h"

namespace gigacat::info {
namespace {

constexpr double kGiga = 1e9, kTera = 1e12, kFloat = 4;  // the last in bytes
constexpr double kBackwardShare = 2.0 / 3;               // of a step's arithmetic

// Sources: NVIDIA's data sheets of H100 SXM and A100 SXM 80 GB (dense, without sparsity); one 400 or 200 Gbit/s adapter
// for each GPU, as in DGX H100 and DGX A100.
struct Profile {
  const char* name;
  double memory_gb, half, tf32, fp32;  // TFLOP/s
  double memory_gbs, node_gbs, network_gbs;
};
constexpr Profile kProfiles[] = {
    {"h100", 80, 989, 494, 67, 3350, 450, 50},
    {"a100", 80, 312, 156, 19.5, 2039, 300, 25},
};

const Profile& profile_of(const std::string& name) {
  for (const Profile& one : kProfiles)
    if (name == one.name) return one;
  fail<UsageError>("--plan: no profile '", name, "'; there are h100 and a100, whose every figure can be given");
}

double peak(const Profile& profile, const std::string& precision) {
  if (precision == "bf16" || precision == "fp16") return profile.half;
  return precision == "tf32" ? profile.tf32 : profile.fp32;
}

std::string milliseconds(double seconds) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(seconds < 0.01 ? 2 : 0) << 1000 * seconds << " ms";
  return out.str();
}

// Seconds in which `bytes` are summed over all GPUs and known to all, or only known to all (`ways` 1): a ring of each
// node's GPUs, then for each of them one between the nodes.
double rings(double bytes, const MachinePlan& m, double ways) {
  const auto gpus = static_cast<double>(m.gpus), in_node = std::min(gpus, static_cast<double>(m.gpus_per_node));
  const double nodes = std::ceil(gpus / static_cast<double>(m.gpus_per_node));
  const double inside = ways * (in_node - 1) / in_node * bytes / (m.node_gbs * kGiga);
  return inside + ways * (nodes - 1) / nodes * bytes / in_node / (m.network_gbs * kGiga);
}

}  // namespace

void MachinePlan::bind(config::Binder& b, const std::string& precision) {
  const Profile standard = profile_of(profile.empty() ? "h100" : profile);
  b.field("profile", profile, standard.name, "machine that the other figures are of");
  b.field("gpus", gpus, 8, "GPUs of the run, a rank each", {.min = 1, .max = 1e6});
  b.field("gpus_per_node", gpus_per_node, 8, "GPUs of a machine", {.min = 1, .max = 1024});
  b.field("memory_gb", memory_gb, standard.memory_gb, "memory of a GPU", {.min = 1, .unit = "GB"});
  b.field("tflops", tflops, peak(standard, precision), "peak of a GPU", {.min = 0.01, .unit = "TFLOP/s"});
  b.field("utilisation", utilisation, 0.35, "share of the peak that training reaches", {.min = 0.001, .max = 1});
  b.field("memory_gbs", memory_gbs, standard.memory_gbs, "rate of a GPU's memory", {.min = 1, .unit = "GB/s"});
  b.field("node_gbs", node_gbs, standard.node_gbs, "rate between GPUs of a node", {.min = 0.1, .unit = "GB/s"});
  b.field("network_gbs", network_gbs, standard.network_gbs, "rate out of a node, for each GPU",
          {.min = 0.01, .unit = "GB/s"});
  b.field("latency_us", latency_us, 30, "of one exchange of a bucket", {.min = 0, .unit = "us"});
  b.field("overlap", overlap, 0.9, "share of backward that exchanges hide behind", {.min = 0, .max = 1});
}

MachinePlan parse_plan(const std::string& text, const std::string& precision) {
  const std::vector<std::string> words = split(text, ',');
  for (const std::string& word : words)
    if (word.find('=') == std::string::npos) fail<UsageError>("--plan: '", word, "' is no KEY=VALUE, as gpus=64");
  const config::Document document = config::Document::parse("{}", "--plan", words);
  MachinePlan machine{};
  machine.profile = document.scalar("profile");
  config::Binder binder;
  machine.bind(binder, precision);
  document.apply(binder);
  return machine;
}

PlanReport plan(const run::RunConfig& config, const ModelReport& model, const MachinePlan& machine) {
  PlanReport report;
  report.machine = machine;
  report.micro_batch = config.micro_batch(static_cast<int>(machine.gpus));
  report.memory = train::estimate_memory(config, model.sizes, report.micro_batch, static_cast<int>(machine.gpus));
  report.fits = report.memory.total() < 0.9 * machine.memory_gb * kGiga;

  const auto gpus = static_cast<double>(machine.gpus);
  const double samples = static_cast<double>(config.train.batch) / gpus;
  report.compute = samples * model.step_cost.flops / (machine.tflops * kTera * machine.utilisation);
  // AdamW reads weights, gradients and its moments and writes all but the gradients; the average is read and written.
  const auto trained = static_cast<double>(model.generator.parameters + model.discriminator.parameters);
  const double passes = config.optimizer.beta1 > 0 ? 4 : 2,
               moments = config.train.shard_optimizer ? passes / gpus : passes;
  const double words = (3 + moments) * trained + 3 * static_cast<double>(model.generator.parameters);
  report.update = words * kFloat / (machine.memory_gbs * kGiga);

  report.gradient_bytes = trained * (config.train.gradient_compression == "bf16" ? 2 : kFloat);
  const double buckets = std::ceil(trained * kFloat / (config.train.bucket_mb * (1 << 20)));
  if (machine.gpus > 1) {
    report.all_reduce = rings(report.gradient_bytes, machine, 2) + buckets * machine.latency_us * 1e-6;
    if (config.train.shard_optimizer) report.gather = rings(trained * kFloat, machine, 1);
  }
  // Only the last of the accumulated passes exchanges gradients.
  const double hidden =
      report.compute * kBackwardShare * machine.overlap / static_cast<double>(config.train.accumulate);
  report.exposed = std::max(0.0, report.all_reduce - hidden);
  return report;
}

std::string to_text(const PlanReport& report, const run::RunConfig& config) {
  std::ostringstream out;
  const MachinePlan& m = report.machine;
  const double images = static_cast<double>(config.train.batch) / report.step();
  out << "Plan: " << m.gpus << " GPUs of profile " << m.profile << ", " << report.micro_batch
      << " samples at once on each. Estimates, not measurements\n";
  line(out, "memory of a GPU", human_bytes(report.memory.total()),
       cat(report.fits ? "fits" : "does not fit", " into ", m.memory_gb, " GB with a tenth left",
           report.memory.checkpointed ? " (at most: activations are computed again)" : ""));
  line(out, "arithmetic", milliseconds(report.compute),
       cat("at ", 100 * m.utilisation, " % of ", m.tflops, " TFLOP/s, ", config.train.precision));
  line(out, "update", milliseconds(report.update), cat("at ", m.memory_gbs, " GB/s"));
  line(out, "all-reduce", milliseconds(report.all_reduce),
       cat(human_bytes(report.gradient_bytes), " at ", m.node_gbs, " GB/s in a node of ", m.gpus_per_node, ", ",
           m.network_gbs, " GB/s between nodes, ", m.latency_us, " us a bucket"));
  line(out, "  not hidden by backward", milliseconds(report.exposed), cat("overlap ", m.overlap));
  if (report.gather > 0) line(out, "gathering of weights", milliseconds(report.gather), "train.shard_optimizer");
  line(out, "step", milliseconds(report.step()));
  line(out, "images a second", human(images));
  line(out, "the whole run", human_time(report.step() * static_cast<double>(config.train.steps)),
       cat(config.train.steps, " steps"));
  return out.str();
}

}  // namespace gigacat::info
