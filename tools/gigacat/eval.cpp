// gigacat eval
#include "gigacat/eval/evaluate.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli.h"
#include "eval_flags.h"
#include "gigacat/core/cache.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/text.h"
#include "gigacat/run/run_folder.h"
#include "gigacat/sample/generated_images.h"
#include "gigacat/upsample/degraded_pairs.h"
#include "launch.h"
#include "sample_flags.h"

namespace gigacat::cli {
namespace {

using nlohmann::json;

struct Flags {
  eval::Request request;
  NetworkFlags networks;
  sample::SampleRequest samples;
  std::string real, fake, out;
  bool json = false;
  int ranks = 1, downscale = 0;
};

eval::Side fake_side(const Flags& flags, dist::Group& group) {
  if (flags.fake.empty()) fail<UsageError>("no images to judge: give --fake");
  if (!run::holds_generator(flags.fake))
    return eval::open_side(flags.fake, eval::needs_captions(flags.request.metrics));
  if (flags.request.fake_count == 0)
    fail<UsageError>(flags.fake, " is a generator: give --num, the number of samples to draw");
  sample::SampleRequest request = flags.samples;
  request.from = flags.fake;
  request.count = flags.request.fake_count;
  return sample::generated_side(request, group);
}

// The real images made small, and large again by the simple ways and by --fake: results of each, in this order.
std::vector<eval::Result> judge_enlarged(const Flags& flags, eval::Side real, eval::FeatureNetworks& networks,
                                         dist::Group& group) {
  if (!real.images) fail<UsageError>("--downscale makes small images of the real ones: give --real, a set of images");
  real.images = upsample::cut_images(real.images, flags.downscale);
  std::vector<std::string> ways = upsample::interpolations();
  if (!flags.fake.empty()) ways.push_back(flags.fake);
  std::vector<eval::Result> all;
  for (const std::string& way : ways) {
    const eval::Side fake{
        upsample::degraded_pairs(real.images, flags.downscale, way, {.device = group.device()}), {}, way};
    for (eval::Result& result : eval::evaluate(flags.request, real, fake, networks, group))
      all.push_back(std::move(result));
  }
  return all;
}

// The run that `path` lies in: itself, or RUN/checkpoints/step-N; "" when there is none.
fs::path run_of(const fs::path& path) {
  if (fs::exists(path / "config.yaml") && fs::is_directory(path / "checkpoints")) return path;
  const fs::path run = fs::absolute(path).lexically_normal().parent_path().parent_path();
  return fs::exists(path / "COMMIT") && fs::exists(run / "config.yaml") ? run : fs::path();
}

// "step-0001000" -> 1000.
int64_t step_of(const std::string& checkpoint) {
  const std::string name = fs::path(checkpoint).filename().string();
  return name.starts_with("step-") ? parse_int(name.substr(5), checkpoint) : 0;
}

// A line of the run's metrics.jsonl for each result.
void append_to_run(const fs::path& path, const std::string& checkpoint, const std::vector<eval::Result>& results) {
  const fs::path run = run_of(path);
  if (run.empty()) return;
  FileWriter out(run::RunFolder::open(run).metrics(), /*append=*/true);
  for (const eval::Result& result : results)
    out.write(json({{"step", step_of(checkpoint)}, {"eval", eval::to_json(result)}}).dump() + "\n");
  out.flush();
}

// Prints the results on the first rank; metrics that failed are named as errors. The exit code, kUsage when no
// metric suits the sides: the other ranks say that all is well, so that the launcher does not end the first one before
// it has printed.
int print(const Flags& flags, const std::vector<eval::Result>& results, bool is_first) {
  if (!is_first) return kOk;
  const bool failed =
      std::any_of(results.begin(), results.end(), [](const eval::Result& result) { return !result.error.empty(); });
  json all = json::array();
  for (const eval::Result& result : results) all.push_back(eval::to_json(result));
  if (!flags.out.empty()) write_atomically(flags.out, all.dump(2) + "\n");
  if (flags.json) std::printf("%s\n", all.dump(2).c_str());
  for (const eval::Result& result : results)
    if (!result.error.empty())
      std::fprintf(stderr, "error: %s\n", eval::to_line(result).c_str());
    else if (!flags.json)
      std::printf("%s\n", eval::to_line(result).c_str());
  const bool refused =
      std::all_of(results.begin(), results.end(), [](const eval::Result& result) { return result.is_refused; });
  return refused ? kUsage : failed ? kFailure : kOk;
}

// "eval fid A B": paths where only metrics belong. Where sides are given they are what a shell made of a pattern.
void check_words(const Flags& flags) {
  const std::vector<std::string>& words = flags.request.metrics;
  std::vector<std::string> metrics, paths;
  for (const std::string& word : words) {
    const bool is_path = fs::exists(word) || word.find('/') != std::string::npos;
    (is_path ? paths : metrics).push_back(word);
  }
  if (paths.empty()) return;
  const bool has_both = !flags.real.empty() && !flags.fake.empty(),
             has_one = !flags.real.empty() || !flags.fake.empty();
  if (has_both || (has_one && paths[0].ends_with(".tar")))
    fail<UsageError>("'", paths[0], "' is a path, not a metric", quote_hint(paths));
  fail<UsageError>("'", paths[0], "' is a path, not a metric: gigacat eval ",
                   metrics.empty() ? "fid" : join(metrics, " "), " --real ", paths[0], " --fake ",
                   paths.size() > 1 ? paths[1] : "PATH");
}

int run(Flags flags, dist::Group& group) {
  check_words(flags);
  eval::FeatureNetworks networks = make_networks(flags.networks, group.device());
  const eval::Side real = flags.real.empty() ? eval::Side{} : eval::open_side(flags.real);
  flags.request.cache = cache_folder().string();
  if (flags.downscale > 0) {
    return print(flags, judge_enlarged(flags, real, networks, group), group.is_first());
  }
  const eval::Side fake = fake_side(flags, group);
  const std::vector<eval::Result> results = eval::evaluate(flags.request, real, fake, networks, group);
  const int code = print(flags, results, group.is_first());
  if (group.is_first() && fake.images && run::holds_generator(flags.fake))
    append_to_run(flags.fake, fake.images->name(), results);
  return code;
}

std::string metrics_help() {
  std::string help;
  for (const auto& [name, what] : eval::metric_names()) help += cat("\n  ", name, ": ", what);
  return help;
}

}  // namespace

void add_network_flags(CLI::App& command, NetworkFlags& flags) {
  command
      .add_option("--protocol", flags.protocol, "how images are resized for Inception: " + join(eval::protocol_names()))
      ->type_name("NAME")
      ->capture_default_str();
  command.add_option("--weights", flags.weights, "weights of Inception, or NETWORK=FILE; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      .add_option("--network", flags.network,
                  "features from your own network in place of Inception's: a TorchScript file (.pt), which RUNS as a "
                  "program, or a classifier (.safetensors) of scripts/train_judge.py")
      ->type_name("FILE");
  command
      .add_option("--network-size", flags.network_size, "side of the images that --network takes; 0: as its file says")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void add_bad_flag(CLI::App& command, double& fraction) {
  CLI::Validator range = CLI::Range(0.0, 1.0);
  range.description("");  // it would stand in the help as part of the type
  command
      .add_option("--max-bad-fraction", fraction,
                  "images that cannot be read are left out and counted, up to this share of them")
      ->type_name("SHARE")
      ->check(range)
      ->capture_default_str();
}

eval::FeatureNetworks make_networks(const NetworkFlags& flags, at::Device device) {
  eval::WeightFiles files;
  for (const std::string& text : flags.weights) files.give(text, "inception");
  if (!flags.network.empty()) files.use_own(flags.network, flags.network_size);
  return eval::FeatureNetworks(std::move(files), flags.protocol, device);
}

void add_eval(CLI::App& app, Chosen& chosen) {
  CLI::App* command =
      add_command(app, "eval", "measure generated images against real ones",
                  "gigacat eval fid kid pr --real data/imagenet --fake runs/00000-emoji-cat --num 50000\n\nMetrics:" +
                      metrics_help() +
                      "\n\nA side is an image folder, .tar shards, a StyleGAN .zip, an .npz of images or of "
                      "statistics; the fake side\n"
                      "also a run, a checkpoint or a generator file.");
  auto flags = std::make_shared<Flags>();
  eval::Request& request = flags->request;
  command->add_option("METRIC", request.metrics, "what to measure, in one pass")->type_name("")->required();
  command->add_option("--real", flags->real, "reference images or their statistics")->type_name("PATH");
  command->add_option("--fake", flags->fake, "images to judge")->type_name("PATH");
  command->add_option("--num", request.fake_count, "fake images; 0: all")->type_name("N")->capture_default_str();
  command->add_option("--num-real", request.real_count, "real images; 0: all")->type_name("N")->capture_default_str();
  command
      ->add_option("--downscale", flags->downscale,
                   "of upsamplers: the real images made N times smaller and large again, by bicubic, by Lanczos and by "
                   "--fake, which is then as upsample --weights")
      ->type_name("N")
      ->check(CLI::Range(2, 64));
  add_bad_flag(*command, request.max_bad_fraction);
  add_network_flags(*command, flags->networks);
  command
      ->add_option("--kid-subset", request.kid_subset, "images in each subset of kid; 0: 1000, or as many as there are")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--prompt-prefix", request.prompt_prefix, "before each caption of clip, as \"A photo depicts \"")
      ->type_name("TEXT");
  command->add_flag("--json", flags->json, "print JSON");
  command->add_option("-o,--out", flags->out, "file for the JSON")->type_name("FILE.json");
  const std::string of_samples = "Samples of a run or checkpoint";
  add_sample_flags(*command, flags->samples, of_samples, of_samples);
  command->add_option("--batch", request.batch, "images at once; 0: 16 on a CPU, 64 on a GPU")
      ->type_name("N")
      ->capture_default_str()
      ->group("Processes");
  add_count(*command, "--ranks", flags->ranks, 1024, "processes to start on this machine", "Processes");
  command->callback([flags, &chosen] {
    chosen = [flags] { return on_ranks(flags->ranks, [&](dist::Group& group) { return run(*flags, group); }); };
  });
}

}  // namespace gigacat::cli
