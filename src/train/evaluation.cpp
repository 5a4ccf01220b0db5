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
#include "train/snapshot.h"

namespace gigacat::train {
namespace {

using nlohmann::json;

constexpr int64_t kRows = 16;  // samples drawn at once

eval::FeatureNetworks make_networks(const EvalSection& section, at::Device device) {
  eval::WeightFiles files;
  for (const std::string& text : section.weights) files.give(text, "inception");
  return eval::FeatureNetworks(std::move(files), section.protocol, device);
}

// The config's reference, or the run's own data as the networks see it.
eval::Side reference(const RunConfig& config, const Foundation& made) {
  if (!config.evaluation.real.empty()) return eval::open_side(config.evaluation.real);
  if (data::is_latent(made.source->content()))
    fail<UsageError>("eval.real: the run's data are latents; name the images, or statistics of them, to compare with");
  return {eval::loader_images(config.data.path, made.source, config.data), {}, config.data.path, {}};
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

Evaluation::Evaluation(const RunConfig& config, const Foundation& made, std::optional<double> best)
    : config_(config),
      recipe_(*config.recipe),
      group_(*made.group),
      space_(*made.space),
      networks_(make_networks(config.evaluation, made.device)),
      real_(reference(config, made)) {
  const recipes::ImageShape shape = config.image_shape();
  if (space_.is_pixels() && shape.channels != 1 && shape.channels != 3)
    fail<UsageError>("eval.every: the networks make latents of ", shape.channels,
                     " channels, and metrics need images: give autoencoder.kind and autoencoder.weights");
  eval::load_networks(config.evaluation.metrics, networks_);
  const std::string known = dist::on_first(group_, "best score", [&] { return best ? json(*best).dump() : ""; });
  if (!known.empty()) best_ = json::parse(known).get<double>();
}

bool Evaluation::is_due(int64_t step) const {
  return step % config_.evaluation.every == 0 || step == config_.train.steps;
}

std::vector<eval::Result> Evaluation::measure(torch::nn::Module& generator, double truncation) {
  const EvalSection& section = config_.evaluation;
  const auto prompts = std::ssize(recipe_.prompts());
  const int64_t classes = prompts > 0 ? prompts : config_.image_shape().num_classes;
  const auto samples = [&](int64_t first, int64_t last, bool all_stages) {
    std::vector<int64_t> labels;
    for (int64_t i = first; i < last; ++i) labels.push_back(i % classes);
    return draw_samples(recipe_, generator, static_cast<uint64_t>(config_.seed), first, labels, group_.device(),
                        truncation, all_stages);
  };
  const auto generate = [&](int64_t first, int64_t last) {
    std::vector<io::Image> images;
    for (int64_t begin = first; begin < last; begin += kRows)
      for (io::Image& image : to_images(space_.decode(samples(begin, std::min(begin + kRows, last), false))))
        images.push_back(std::move(image));
    return images;
  };
  eval::Side fake{eval::generated_images("the averaged generator", section.samples, generate, {}), {}, "samples", {}};
  if (recipe_.has_trajectory())
    fake.trajectory = [&](int64_t count, dist::Group& group) {
      return eval::mean_trajectory(count, kRows, group, [&](int64_t first, int64_t last) {
        return recipe_.diagnostics(samples(first, last, true));
      });
    };
  return eval::evaluate(
      {.metrics = section.metrics, .batch = section.batch, .cache = cache_folder().string(), .quiet = true}, real_,
      fake, networks_, group_);
}

Evaluated Evaluation::run(torch::nn::Module& generator) {
  const EvalSection& section = config_.evaluation;
  const bool training = generator.is_training();
  generator.eval();
  Evaluated done;
  for (const double psi : section.truncation) {
    std::vector<eval::Result> results = measure(generator, psi);
    if (!done.results.empty())
      for (eval::Result& result : results)
        for (auto& [figure, value] : result.values) figure = cat(figure, "@", psi);
    std::move(results.begin(), results.end(), std::back_inserter(done.results));
  }
  generator.train(training);
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
