// gigacat weights list|get|verify|where
#include <cstdio>

#include "cli.h"
#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "gigacat/weights/known_weights.h"

namespace gigacat::cli {
namespace {

using weights::WeightFile;
using weights::WeightState;

std::vector<WeightFile> chosen_files(const std::vector<std::string>& names) {
  if (names.empty()) return weights::known_weights();
  std::vector<WeightFile> files;
  for (const std::string& name : names) files.push_back(weights::find_weight_file(name));
  return files;
}

std::string hash_text(const WeightFile& file) {
  if (file.sha256.empty()) return "no hash published: recorded on first use";
  if (file.sha256.size() < 64) return "sha256 " + file.sha256 + "... (from the file's name)";
  return "sha256 " + file.sha256;
}

int list(const std::vector<std::string>& names) {
  for (const WeightFile& file : chosen_files(names)) {
    const bool here = std::filesystem::exists(weights::weight_path(file));
    std::printf("%-22s %-4s %s%s\n", file.name.c_str(), here ? "here" : "", file.purpose.c_str(),
                file.bytes > 0 ? cat(" (", human_bytes(static_cast<double>(file.bytes)), ")").c_str() : "");
    std::printf("%-22s licence %s; %s\n%-22s %s\n", "", file.licence.c_str(), hash_text(file).c_str(), "",
                file.url.c_str());
  }
  return kOk;
}

int get(const std::vector<std::string>& names, const weights::DownloadOptions& options) {
  for (const WeightFile& file : chosen_files(names)) std::printf("%s\n", weights::download(file, options).c_str());
  return kOk;
}

// True when nothing is wrong with a file; a missing one counts only when it was asked for.
bool report(const WeightFile& file, bool asked) {
  const weights::Verdict verdict = weights::verify(file, /*record=*/true);
  const char* text = nullptr;
  switch (verdict.state) {
    case WeightState::missing:
      text = "missing";
      break;
    case WeightState::whole:
      text = "as published";
      break;
    case WeightState::recorded:
    case WeightState::unseen:
      text = "as recorded at first use (no hash is published)";
      break;
    case WeightState::wrong:
      text = "WRONG";
      break;
  }
  const bool missing = verdict.state == WeightState::missing, wrong = verdict.state == WeightState::wrong;
  if (missing && !asked) return true;
  std::printf("%-22s %s%s\n", file.name.c_str(), text,
              missing ? "" : cat(": ", verdict.sha256, wrong ? cat(" instead of ", verdict.wanted) : "").c_str());
  return !wrong && !missing;
}

int verify(const std::vector<std::string>& names) {
  bool good = true;
  for (const WeightFile& file : chosen_files(names)) good = report(file, !names.empty()) && good;
  if (!good) fail("not all files are as they should be: gigacat weights get NAME fetches one anew");
  return kOk;
}

int where(const std::vector<std::string>& names) {
  if (names.empty()) {
    std::printf("%s\n", weights::weight_folder().c_str());
    return kOk;
  }
  for (const WeightFile& file : chosen_files(names)) std::printf("%s\n", weights::weight_path(file).c_str());
  return kOk;
}

struct Flags {
  std::vector<std::string> names;
  weights::DownloadOptions download;
};

CLI::App* add(CLI::App& group, Chosen& chosen, const std::string& name, const std::string& help,
              const std::string& example, const std::shared_ptr<Flags>& flags, int (*run)(const Flags&),
              bool needs_names) {
  CLI::App* command = add_command(group, name, help, "gigacat weights " + example);
  auto* names = command->add_option("NAMES", flags->names, "names of `gigacat weights list`")->type_name("");
  if (needs_names) names->required();
  command->callback([flags, run, &chosen] { chosen = [flags, run] { return run(*flags); }; });
  return command;
}

}  // namespace

void add_weights(CLI::App& app, Chosen& chosen) {
  CLI::App* group = add_command(app, "weights", "released weight files: list, get, verify, where",
                                "gigacat weights get inception dinov2-b14");
  group->require_subcommand(1);
  const auto flags = std::make_shared<Flags>();
  add(
      *group, chosen, "list", "known files: what for, licence, hash, address", "list", flags,
      [](const Flags& f) { return list(f.names); }, false);
  CLI::App* get_command = add(
      *group, chosen, "get", "download into the cache, go on after an interruption, check the hash", "get dinov2-b14",
      flags, [](const Flags& f) { return get(f.names, f.download); }, true);
  get_command->add_option("--stall", flags->download.stall_seconds, "seconds without data after which a server hangs")
      ->type_name("S")
      ->capture_default_str();
  get_command->add_option("--attempts", flags->download.attempts, "tries, each going on where the one before broke off")
      ->type_name("N")
      ->capture_default_str();
  add(
      *group, chosen, "verify", "hash the files that are there", "verify", flags,
      [](const Flags& f) { return verify(f.names); }, false);
  add(
      *group, chosen, "where", "the cache folder, or where files lie in it", "where inception", flags,
      [](const Flags& f) { return where(f.names); }, false);
}

}  // namespace gigacat::cli
