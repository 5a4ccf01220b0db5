// gigacat doctor
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "cli.h"
#include "gigacat/core/cache.h"
#include "gigacat/core/cpus.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/installation.h"
#include "gigacat/core/text.h"
#include "gigacat/data/emoji.h"
#include "gigacat/dist/device.h"
#include "gigacat/dist/environment.h"

namespace gigacat::cli {
namespace {

// A checklist: a line for each thing that was looked at, and whether training can go without what is missing.
class Checklist {
 public:
  void fine(const char* name, const std::string& value) { line("ok", name, value); }
  void note(const char* name, const std::string& value) { line("note", name, value); }
  void wrong(const char* name, const std::string& value) {
    line("FAIL", name, value);
    fatal_ = true;
  }
  bool fatal() const { return fatal_; }

 private:
  static void line(const char* mark, const char* name, const std::string& value) {
    std::printf("%-5s %-9s %s\n", mark, name, value.c_str());
  }
  bool fatal_ = false;
};

void check_versions(Checklist& list) {
  std::error_code ignored;
  list.fine("program", cat(version_line(), ", ", fs::read_symlink("/proc/self/exe", ignored).string()));
  list.fine("LibTorch", TORCH_VERSION);
  list.fine("compiler", GIGACAT_COMPILER);
}

double kibibytes(const std::string& meminfo, const std::string& key) {
  const size_t at = meminfo.find(key + ":");
  return at == std::string::npos ? 0 : std::strtod(meminfo.c_str() + at + key.size() + 1, nullptr);
}

void check_memory(Checklist& list) {
  const std::string memory = read_file("/proc/meminfo");
  list.fine("memory", cat(human_bytes(1024 * kibibytes(memory, "MemTotal")), ", ",
                          human_bytes(1024 * kibibytes(memory, "MemAvailable")), " available"));
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

void check_gpus(Checklist& list) {
  const int gpus = dist::visible_gpus();
  if (gpus == 0) return list.note("GPUs", "0: runs use the CPU");
  const std::string cuda = dist::cuda_problem();
  if (!cuda.empty()) return list.wrong("GPUs", cat(gpus, ", but they cannot be used: ", cuda));
  const std::string gpu = compute_problem(dist::choose_device("cuda", 0));
  if (!gpu.empty()) return list.wrong("GPUs", cat(gpus, ", but the first cannot compute: ", gpu));
  list.fine("GPUs", cat(gpus, ", a gradient is computed"));
}

void check_cpu(Checklist& list) {
  const std::string fault = compute_problem(at::kCPU);
  const std::string what = cat(at::get_cpu_capability(), ", ", at::get_num_threads(), " threads on ", usable_cpus(),
                               " of ", std::thread::hardware_concurrency(), " processors");
  fault.empty() ? list.fine("CPU", what + ", a gradient is computed")
                : list.wrong("CPU", cat(what, ", which cannot compute: ", fault));
}

void check_presets(Checklist& list) {
  const fs::path share = share_folder();
  share.empty() ? list.note("presets", "none beside this program: give configs by their paths, or set GIGACAT_SHARE")
                : list.fine("presets", cat((share / "configs").string(), "; `gigacat config list` names them"));
}

void check_emoji(Checklist& list) {
  const data::EmojiOptions options;
  const std::pair<fs::path, const char*> files[] = {{options.font, "fonts-noto-color-emoji"},
                                                    {options.list, "unicode-data"},
                                                    {options.keywords, "unicode-cldr-core"}};
  std::vector<std::string> packages;
  for (const auto& [file, package] : files)
    if (!fs::exists(file)) packages.push_back(package);
  packages.empty()
      ? list.fine("emoji", cat(options.font.string(), ", for `gigacat data emoji`"))
      : list.note("emoji", cat("`gigacat data emoji` lacks its files: apt-get install ", join(packages, " ")));
}

// As train reads the variables of launchers.
void check_processes(Checklist& list) {
  try {
    const std::string origin = dist::Environment::detect().origin;
    list.fine("processes", origin.empty() ? "1" : origin);
  } catch (const UsageError& error) {
    list.wrong("processes", error.what());
  }
}

// Why nothing can be written in a folder that may not exist yet; "": it can. Folders are made and removed again: what a
// file system says of its permissions is not what it does (/proc, read-only mounts, the superuser).
std::string writing_problem(const fs::path& folder) {
  constexpr uintmax_t kLeast = 1 << 20;  // bytes
  std::error_code fault;
  fs::path existing = fs::absolute(folder, fault);
  while (!fs::exists(existing, fault) && existing.has_relative_path()) existing = existing.parent_path();
  if (!fs::is_directory(existing, fault)) return cat(existing.string(), " is no folder");
  const fs::path probe = existing / cat(".gigacat-doctor-", ::getpid());
  if (::mkdir(probe.c_str(), 0700) != 0) return cat(existing.string(), ": ", std::strerror(errno));
  ::rmdir(probe.c_str());
  const fs::space_info space = fs::space(existing, fault);
  if (!fault && space.available < kLeast)
    return cat(existing.string(), " has ", human_bytes(static_cast<double>(space.available)), " free");
  return "";
}

void check_folders(Checklist& list) {
  const fs::path cache = cache_folder();
  if (const std::string problem = cache.empty() ? "no folder" : writing_problem(cache); !problem.empty())
    list.note("cache", cat(cache.empty() ? problem : cat(cache.string(), " cannot be written (", problem, ")"),
                           ": indexes of shards and statistics are made anew each time; set GIGACAT_CACHE"));
  else
    list.fine("cache", cache.string());
  std::error_code fault;
  const fs::path here = fs::current_path();
  const fs::space_info space = fs::space(here, fault);
  if (const std::string problem = writing_problem(here); !problem.empty())
    list.note("runs", cat(here.string(), " cannot be written (", problem, "): give runs another place, out=FOLDER"));
  else
    list.fine("runs",
              cat(here.string(), ", ", fault ? "" : human_bytes(static_cast<double>(space.available)), " free"));
}

int run() {
  Checklist list;
  check_versions(list);
  check_gpus(list);  // first: the first backward settles what devices there are
  check_cpu(list);
  check_memory(list);
  check_processes(list);
  check_presets(list);
  check_emoji(list);
  check_folders(list);
  std::puts(list.fatal() ? "training cannot run" : "training can run");
  return list.fatal() ? kFailure : kOk;
}

}  // namespace

void add_doctor(CLI::App& app, Chosen& chosen) {
  CLI::App* command =
      add_command(app, "doctor", "check what is installed and whether training can run", "gigacat doctor");
  command->callback([&chosen] { chosen = run; });
}

}  // namespace gigacat::cli
