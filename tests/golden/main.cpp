// golden_tests [--device cuda] [--cases DIR] [NAME...]: compares networks, losses and training steps with reference
// numbers.
#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "gigacat/core/error.h"
#include "gigacat/dist/device.h"
#include "golden/kinds.h"
#include "io/safetensors_verdicts.h"
#include "paths.h"

namespace gigacat::golden {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> find_cases(const fs::path& root) {
  std::vector<fs::path> folders;
  if (!fs::is_directory(root)) fail<UsageError>("--cases ", root.string(), " is no folder");
  for (const auto& entry : fs::recursive_directory_iterator(root))
    if (entry.path().filename() == "case.json" || entry.path().filename() == "expected.json")
      folders.push_back(entry.path().parent_path());
  std::sort(folders.begin(), folders.end());
  if (folders.empty()) fail<UsageError>("--cases ", root.string(), " holds no case.json or expected.json");
  return folders;
}

// Empty, or what is wrong. Errors: Skip.
std::vector<std::string> run(const fs::path& folder, at::Device device, std::string& name, double& worst) {
  try {
    if (fs::exists(folder / "expected.json")) return io::safetensors_verdicts(folder).faults;
    Case one(folder);
    name = one.name();
    const Kind kind = find_kind(name);
    if (!kind.on_host) one.place(device);
    kind.check(one);
    worst = one.worst();
    return one.finish();
  } catch (const c10::Error& error) {
    return {error.what_without_backtrace()};
  } catch (const std::exception& error) {
    return {error.what()};
  }
}

int run_all(const fs::path& root, at::Device device, const std::vector<std::string>& wanted) {
  int passed = 0, failed = 0, skipped = 0;
  for (const fs::path& folder : find_cases(root)) {
    const std::string place = fs::relative(folder, root).string();
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), place) == wanted.end()) continue;
    std::string name = place;
    double worst = 0;
    std::vector<std::string> problems;
    try {
      problems = run(folder, device, name, worst);
    } catch (const Skip& skip) {
      std::printf("skip    %-28s  %s\n", place.c_str(), skip.reason.c_str());
      ++skipped;
      continue;
    }
    std::printf("%s  %-28s  %.2f of the tolerance\n", problems.empty() ? "ok    " : "FAILED", place.c_str(), worst);
    for (size_t i = 0; i < problems.size() && i < 10; ++i) std::printf("        %s\n", problems[i].c_str());
    if (problems.size() > 10) std::printf("        and %zu more\n", problems.size() - 10);
    std::fflush(stdout);
    (problems.empty() ? passed : failed) += 1;
  }
  std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace
}  // namespace gigacat::golden

int main(int argc, char** argv) {
  CLI::App app{"Compares networks, losses and training steps with reference numbers"};
  std::string cases = std::string(gigacat::test::source_dir()) + "/tests/golden/cases";
  std::vector<std::string> names;
  std::string device = "cpu";
  app.add_option("--device", device, "cpu, cuda or cuda:N: where networks are computed");
  app.add_option("--cases", cases, "Folder of cases (searched for case.json and, for readers, expected.json)");
  app.add_option("names", names, "Cases to run, as folders below --cases; default: all");
  CLI11_PARSE(app, argc, argv);
  try {
    return gigacat::golden::run_all(cases, gigacat::dist::choose_device(device, 0), names);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
