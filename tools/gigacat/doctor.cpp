// gigacat doctor
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <cstdio>
#include <thread>

#include "cli.h"
#include "gigacat/core/files.h"
#include "gigacat/core/text.h"
#include "gigacat/data/emoji.h"
#include "gigacat/dist/device.h"

namespace gigacat::cli {
namespace {

void row(const char* name, const std::string& value) { std::printf("%-14s %s\n", name, value.c_str()); }

// Says what is missing; returns whether training can go without it.
class Findings {
 public:
  void missing(const std::string& what, const std::string& remedy, bool stops_training) {
    std::printf("%s %s: %s\n", stops_training ? "FAIL" : "note", what.c_str(), remedy.c_str());
    fatal_ = fatal_ || stops_training;
  }
  bool fatal() const { return fatal_; }

 private:
  bool fatal_ = false;
};

void versions() {
  row("program", version_line());
  row("LibTorch", TORCH_VERSION);
  row("compiler", GIGACAT_COMPILER);
}

void machine() {
  const std::string memory = read_file("/proc/meminfo");
  const std::string total = trim(memory.substr(0, memory.find('\n')).substr(9));
  row("CPU", cat(at::get_cpu_capability(), ", ", std::thread::hardware_concurrency(), " hardware threads"));
  row("threads", cat(at::get_num_threads(), " for tensors"));
  row("memory", total);
  row("GPUs", cat(dist::visible_gpus()));
}

// A gradient through the operations that every model needs.
std::string compute_problem(at::Device device) {
  try {
    const at::Tensor weight = at::full({8, 8}, 0.5, at::TensorOptions().device(device)).set_requires_grad(true);
    at::matmul(weight, weight).softmax(-1).square().sum().backward();
    return weight.grad().isfinite().all().item<bool>() ? "" : "a small gradient is not finite";
  } catch (const std::exception& error) {
    return split(error.what(), '\n').front();
  }
}

void check_gpu(Findings& findings) {
  if (dist::visible_gpus() == 0) return;
  const std::string cuda = dist::cuda_problem();
  if (!cuda.empty()) return findings.missing("a GPU is there but cannot be used", cuda, true);
  const std::string gpu = compute_problem(dist::choose_device("cuda", 0));
  if (!gpu.empty()) findings.missing("the GPU cannot compute", gpu, true);
}

void check_devices(Findings& findings) {
  check_gpu(findings);  // first: the first backward settles what devices there are
  const std::string cpu = compute_problem(at::kCPU);
  if (!cpu.empty()) findings.missing("the CPU cannot compute", cpu, true);
}

void check_emoji(Findings& findings) {
  const data::EmojiOptions options;
  const std::pair<fs::path, const char*> files[] = {{options.font, "fonts-noto-color-emoji"},
                                                    {options.list, "unicode-data"},
                                                    {options.keywords, "unicode-cldr-core"}};
  for (const auto& [file, package] : files)
    if (!fs::exists(file))
      findings.missing(cat("no ", file.string(), " for `gigacat data emoji`"), cat("apt-get install ", package), false);
}

int run() {
  Findings findings;
  versions();
  machine();
  check_devices(findings);
  check_emoji(findings);
  std::puts(findings.fatal() ? "training cannot run" : "training can run");
  return findings.fatal() ? kFailure : kOk;
}

}  // namespace

void add_doctor(CLI::App& app, Chosen& chosen) {
  CLI::App* command =
      add_command(app, "doctor", "check what is installed and whether training can run", "gigacat doctor");
  command->callback([&chosen] { chosen = run; });
}

}  // namespace gigacat::cli
