#include "train/evaluation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>

#include "gigacat/core/cache.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/sample/generated_images.h"

namespace gigacat::train {
namespace {

using nlohmann::json;

eval::FeatureNetworks make_networks(const run::EvalSection& section, at::Device device) {
  eval::WeightFiles files;
  for (const std::string& text : section.weights) files.give(text, "inception");
  return eval::FeatureNetworks(std::move(files), section.protocol, device);
}

// The config's reference, or the run's own data as the networks see it.
eval::Side reference(const run::RunConfig& config, const RunContext& context) {
  if (!config.evaluation.real.empty()) return eval::open_side(config.evaluation.real);
  if (data::is_latent(context.source->content()))
    fail<UsageError>("eval.real: the run's data are latents; name the images, or statistics of them, to compare with");
  return {eval::loader_images(config.data.path, context.source, config.data), {}, config.data.path, {}};
}

}  // namespace

BestCheckpoint::BestCheckpoint(fs::path folder) : folder_(std::move(folder)) {
  const fs::path file = folder_ / "best.json";
  if (!fs::exists(file)) return;
  const json best = json::parse(read_file(file), nullptr, false);
  if (!best.is_object() || !best.contains("value") || !best["value"].is_number())
    fail(file.string(), " is damaged: remove it to begin the search for the best checkpoint anew");
  value_ = best["value"].get<double>();
}

void BestCheckpoint::keep(const fs::path& checkpoint, int64_t step, const std::string& metric, double value) {
  const fs::path draft = folder_ / ".tmp-best", best = folder_ / "best";
  fs::remove_all(draft);
  fs::create_directory(draft);
  for (const auto& entry : fs::directory_iterator(checkpoint)) {
    const fs::path link = draft / entry.path().filename();
    std::error_code refused;
    fs::create_hard_link(entry.path(), link, refused);
    if (refused) fs::copy_file(entry.path(), link);  // file systems without links
  }
  fs::remove_all(best);
  fs::rename(draft, best);
  sync_folder(folder_);
  write_atomically(folder_ / "best.json", json({{"step", step}, {"metric", metric}, {"value", value}}).dump(2) + "\n");
  value_ = value;
  log::info("best checkpoint so far: step ", step, ", ", metric, " ", value, ", in ", best.string());
}

double figure_of(const std::vector<eval::Result>& results, const std::string& name) {
  for (const eval::Result& result : results)
    for (const auto& [figure, value] : result.values)
      if (figure == name) return value;
  fail<UsageError>("eval.best: none of eval.metrics gives a figure ", name);
}

Evaluation::Evaluation(const run::RunConfig& config, const RunContext& context, std::optional<double> best)
    : config_(config),
      model_(*context.gan.model),
      group_(*context.group),
      space_(*context.space),
      networks_(make_networks(config.evaluation, context.device)),
      real_(reference(config, context)) {
  const models::ImageShape shape = config.image_shape();
  if (space_.is_pixels() && shape.channels != 1 && shape.channels != 3)
    fail<UsageError>("eval.every: the networks make latents of ", shape.channels,
                     " channels, and metrics need images: give autoencoder.kind and autoencoder.weights");
  for (const std::string& metric : config.evaluation.metrics)
    if (const std::string fault = eval::fault_of_samples(metric); !fault.empty())
      fail<UsageError>("eval.metrics: ", metric, " cannot be computed: ", fault);
  eval::load_networks(config.evaluation.metrics, networks_);
  const std::string known = dist::on_first(group_, "best score", [&] { return best ? json(*best).dump() : ""; });
  if (!known.empty()) best_ = json::parse(known).get<double>();
}

bool Evaluation::is_due(int64_t step) const {
  return step % config_.evaluation.every == 0 || step == config_.train.steps;
}

std::vector<eval::Result> Evaluation::measure(torch::nn::Module& generator, double truncation) {
  const run::EvalSection& section = config_.evaluation;
  const auto sampler = std::make_shared<sample::Sampler>(model_, generator, space_, group_.device(),
                                                         sample::SamplerOptions{.truncation = truncation});
  std::vector<sample::SampleSpec> specs;
  for (int64_t i = 0; i < section.samples; ++i) specs.push_back({config_.seed, i, i % sampler->num_conditions()});
  eval::Side fake = sample::generated_side(sampler, std::move(specs), "the averaged generator");
  fake.name = "samples";
  return eval::evaluate({.metrics = section.metrics,
                         .batch = section.batch,
                         .max_bad_fraction = config_.data.max_bad_fraction,
                         .cache = cache_folder().string(),
                         .quiet = true},
                        real_, fake, networks_, group_);
}

Evaluated Evaluation::run(torch::nn::Module& generator) {
  const run::EvalSection& section = config_.evaluation;
  Evaluated done;
  for (const double psi : section.truncation) {
    std::vector<eval::Result> results = measure(generator, psi);
    if (!done.results.empty())
      for (eval::Result& result : results)
        for (auto& [figure, value] : result.values) figure = cat(figure, "@", psi);
    std::move(results.begin(), results.end(), std::back_inserter(done.results));
  }
  const std::string metric = eval::metric_of(section.best.substr(0, section.best.find('@')));
  const auto chosen = std::find_if(done.results.begin(), done.results.end(),
                                   [&](const eval::Result& result) { return result.metric == metric; });
  if (chosen == done.results.end() || !chosen->error.empty()) return done;  // the log names the error
  const double value = figure_of(done.results, section.best);
  const bool larger = eval::is_larger_better(metric);
  done.is_best = !best_ || (larger ? value > *best_ : value < *best_);
  if (done.is_best) best_ = value;
  return done;
}

}  // namespace gigacat::train
