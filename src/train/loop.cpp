#include "train/loop.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/data/loader.h"

namespace gigacat::train {
namespace {

constexpr int64_t kShownSamples = 16;  // at the end of a run

BatchOptions batch_options(const run::RunConfig& config, dist::Group& group) {
  return {.seed = static_cast<uint64_t>(config.seed),
          .parts = config.train.accumulate,
          .num_classes = config.image_shape().num_classes,
          .latent_scale = config.data.latent_scale,
          .latent_shift = config.data.latent_shift,
          .device = group.device(),
          .group = &group};
}

}  // namespace

Loop::Loop(run::RunConfig& config, const dist::Environment& environment, const TrainOptions& options)
    : config_(config),
      environment_(environment),
      options_(options),
      context_(set_up(config, environment, options, phases_)),
      state_(*context_.state),
      group_(*context_.group),
      recipe_(state_.recipe),
      gan_step_(config, state_, group_),
      batch_options_(batch_options(config, group_)),
      first_step_(state_.step),
      stopwatch_(context_.device) {
  set_examples();
  if (group_.is_first()) best_ = std::make_unique<BestCheckpoint>(context_.place->folder.path());
  const auto sampler_of = [this](torch::nn::Module& generator) {
    return std::make_unique<sample::Sampler>(state_.model, generator, *context_.space, context_.device,
                                             sample::SamplerOptions{});
  };
  average_ = sampler_of(state_.ema.module());
  live_ = sampler_of(state_.model.generator());
  if (config.evaluation.every > 0)
    evaluation_ = std::make_unique<Evaluation>(config, context_, best_ ? best_->value() : std::nullopt);
  dist::run_on_first(group_, "files of the run", [this] { open_files(); });
}

void Loop::open_files() {
  const run::RunConfig& config = config_;
  const run::RunFolder& folder = context_.place->folder;
  write_run_info(context_, config_, environment_, options_, "");
  profile_ = std::make_unique<Profile>(config.train.profile, folder.path() / "profile", context_.device);
  writer_ = std::make_unique<run::CheckpointWriter>(folder.checkpoints(), config.checkpoint.keep_last,
                                                    config.checkpoint.keep_every);
  monitor_ = std::make_unique<Monitor>(config, folder, group_.size(), recipe_.cost().flops, state_.step, state_.images);
  grid_ = std::make_unique<sample::SampleGrid>(*average_, config.log.sample_count, config.seed);
}

int Loop::run() {
  int stop = 0;
  while (state_.step < config_.train.steps && stop == 0) {
    if (profile_) profile_->begin_step(state_.step + 1);
    stopwatch_.begin(/*exact=*/is_logged(config_, state_.step + 1));

    const auto batches = next_batch();
    stopwatch_.mark(Part::data);
    auto fakes = gan_step_.discriminator(batches);
    stopwatch_.mark(Part::discriminator);
    fakes = gan_step_.generator(batches, std::move(fakes));
    gan_step_.average();
    stopwatch_.mark(Part::generator);

    ++state_.step;
    state_.images += config_.train.batch;
    if (state_.step == first_step_ + 1) first_step_done();
    if (is_logged(config_, state_.step)) report(batches, fakes);
    if (monitor_) monitor_->progress(state_.step);
    draw_samples();
    evaluate();
    stop = signals_.agreed(group_);
    if (state_.step % config_.checkpoint.every == 0) save();
    stopwatch_.mark(Part::other);
  }
  return finish(stop);
}

// The first samples of the run's order, whatever the batch and the number of ranks.
void Loop::set_examples() {
  const int64_t count = state_.model.examples_needed();
  if (count == 0) return;
  data::Loader loader(context_.source, config_.data,
                      {.seed = static_cast<uint64_t>(config_.seed), .global_batch = count, .last_step = 0});
  BatchOptions options = batch_options_;
  options.parts = 1;
  const recipes::Batch examples = to_device(loader.next(), options).front().batch;
  state_.model.set_examples(examples.images, examples.captions);
}

std::vector<MicroBatch> Loop::next_batch() {
  const Range range("data");
  return to_device(context_.loader->next(), batch_options_);
}

void Loop::report(const std::vector<MicroBatch>& batches, const std::vector<at::Tensor>& fakes) {
  const at::NoGradGuard no_grad;
  StepFigures figures{.step = state_.step, .images = state_.images};
  const auto losses = mean_losses({state_.discriminator.losses, state_.generator.losses}, group_);
  std::vector<std::pair<std::string, double>> diagnostics;
  for (const at::Tensor& part : fakes) {
    const auto of_part = recipe_.diagnostics(part);
    if (diagnostics.empty())
      for (const auto& [name, value] : of_part) diagnostics.emplace_back(name, 0);
    for (size_t i = 0; i < of_part.size(); ++i)
      diagnostics[i].second += of_part[i].second / static_cast<double>(fakes.size());
  }
  figures.diagnostics = mean_over_ranks(std::move(diagnostics), group_);
  figures.discriminator.losses = losses[0];
  figures.generator.losses = losses[1];
  dist::run_on_first(group_, "writing figures", [&] { write(figures, batches); });
}

void Loop::write(StepFigures& figures, const std::vector<MicroBatch>& batches) {
  for (const auto& [half, shown] :
       {std::pair(&state_.discriminator, &figures.discriminator), std::pair(&state_.generator, &figures.generator)}) {
    shown->grad_norm = half->optimizer.grad_norm().item<double>();
    shown->loss_scale = half->optimizer.loss_scale().item<double>();
    shown->lr = half->lr;
    shown->skipped = half->guard.skipped();
  }
  // Of latents that stay the same, so that only the generator moves it.
  const sample::Diversity diversity = grid_->diversity(*live_);
  figures.diagnostics.emplace_back("diversity", diversity.distance);
  figures.diagnostics.emplace_back("relative_diversity", diversity.relative);
  monitor_->record(figures, stopwatch_.take(), memory_used(context_.device));
  if (state_.step == 1) {
    const at::Tensor& reals = batches.front().batch.images;
    const at::Tensor shown = reals.narrow(0, 0, std::min(reals.size(0), config_.log.sample_count));
    monitor_->image("reals", sample::image_grid(context_.space->decode(shown)), 0);
  }
}

void Loop::first_step_done() {
  synchronize(context_.device);
  log::info("first step: ", human_time(process_seconds()), " after the start of the process");
}

void Loop::draw_samples() {
  const int64_t every = config_.log.samples_every;
  const bool due = every > 0 && (state_.step % every == 0 || state_.step == config_.train.steps);
  if (!due) return;
  dist::run_on_first(group_, "sample grid", [this] { monitor_->image("fakes", grid_->draw(*average_), state_.step); });
}

void Loop::evaluate() {
  if (!evaluation_ || !evaluation_->is_due(state_.step)) return;
  const Evaluated done = evaluation_->run(state_.ema.module());
  dist::run_on_first(group_, "writing scores", [&] { monitor_->scores(done.results, state_.step); });
  if (!done.is_best) return;
  save();
  dist::run_on_first(group_, "best checkpoint", [&] {
    writer_->wait();
    const std::string& figure = config_.evaluation.best;
    best_->keep(run::checkpoint_path(context_.place->folder.checkpoints(), state_.step), state_.step, figure,
                figure_of(done.results, figure));
  });
}

void Loop::save() {
  if (saved_step_ == state_.step || state_.step == first_step_) return;
  group_.barrier("checkpoint");  // it counts only when every rank is done with the step
  saved_step_ = state_.step;
  for (NetworkState* half : {&state_.discriminator, &state_.generator}) half->optimizer.gather();
  dist::run_on_first(group_, "checkpoint", [this] {
    const std::string identity = context_.data_identity.get();
    write_run_info(context_, config_, environment_, options_, identity);
    run::Checkpoint checkpoint = capture(state_, config_, group_.size(), identity);
    checkpoint.class_names = context_.class_names;
    writer_->keep_before(monitor_->diverging_since());
    writer_->write(std::move(checkpoint));  // waits for the one before
    for (NetworkState* half : {&state_.discriminator, &state_.generator}) half->optimizer.release();
  });
}

// Whether a last checkpoint will be on disk before whoever sent SIGTERM sends SIGKILL: else one that is being written
// is finished instead. All ranks get rank 0's answer.
bool Loop::has_time_to_save(int stop) {
  if (stop != kExitTerminated || environment_.seconds_to_stop == 0) return true;
  const std::string why = dist::on_first(group_, "time for a checkpoint", [this] {
    const double left = environment_.seconds_to_stop - signals_.seconds_since_request();
    const double needed = writer_->seconds_left() + 1.2 * writer_->seconds_of_last();
    return needed <= left ? std::string()
                          : cat("it takes some ", human_time(needed), ", and ", environment_.launcher,
                                " ends this process in ", human_time(std::max(left, 0.0)));
  });
  if (!why.empty()) log::warn("no checkpoint of step ", state_.step, " is begun: ", why);
  return why.empty();
}

// What there is to look at.
void Loop::show_samples() {
  if (!monitor_) return;
  const fs::path grid = monitor_->last_image();
  if (!grid.empty()) log::info("samples: ", grid.string());
  log::info("curves, samples, config and events on one page: gigacat report ", context_.place->folder.path().string(),
            " -o report.html");
  if (options_.show_samples) options_.show_samples(grid_->first_images(*average_, kShownSamples));
}

int Loop::finish(int stop) {
  if (profile_) profile_->end();
  if (has_time_to_save(stop)) save();
  const bool done = state_.step >= config_.train.steps;
  dist::run_on_first(group_, "end of the run", [&] {
    writer_->wait();
    monitor_->finish();
    context_.place->folder.note_end(done ? "done" : "stopped on request", state_.step);
  });
  const std::string where = context_.place ? context_.place->folder.path().string() : "";
  if (done) {
    log::info("done: ", state_.step, " steps, ", static_cast<double>(state_.images) / 1000, " kimg in ", where);
    show_samples();
    return 0;
  }
  log::info("stopped on request after step ", state_.step, "; go on with: gigacat train --resume ", where);
  // To torchrun every other code is a failure after which it starts all ranks again.
  return environment_.launcher == "torchrun" && !environment_.agent.empty() ? 0 : stop;
}

}  // namespace gigacat::train
