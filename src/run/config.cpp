#include "gigacat/run/config.h"

#include <algorithm>

#include "gigacat/core/text.h"
#include "gigacat/eval/evaluate.h"
#include "gigacat/nn/activation_checkpoint.h"

namespace gigacat::run {
namespace {

// A config with the fields of `recipe`, all at their defaults.
std::unique_ptr<RunConfig> declare(const std::string& recipe) {
  auto config = std::make_unique<RunConfig>();
  config->gan = recipes::make_gan_config(recipe);
  config::Binder& b = config->binder;
  b.field("recipe", config->recipe_name, recipe, "which GAN: its networks and losses",
          {.choices = recipes::recipe_names()});
  b.field("name", config->name, "", "name of the run folder; empty: the recipe's", {.free_on_resume = true});
  b.field("out", config->out, "runs", "folder that run folders are made in", {.free_on_resume = true});
  b.field("seed", config->seed, 0, "seed of every random stream of the run", {.min = 0});
  b.section("data", config->data, "what the networks learn from");
  b.section("autoencoder", config->autoencoder, "what turns latents into images");
  b.section("model", *config->gan.model, "the two networks");
  b.section("loss", *config->gan.loss, "what the networks are trained on");
  b.section("optimizer", config->optimizer, "AdamW of both networks, learning rate, moving average");
  b.section("train", config->train, "length, batch, device and precision");
  b.section("log", config->log, "what is reported, and how often");
  b.section("checkpoint", config->checkpoint, "when a checkpoint is written and which are kept");
  b.section("eval", config->evaluation, "metrics of the averaged generator while the run goes on");
  b.check("train.batch", [run = config.get()] { return run->batch_fault(/*world=*/1); });
  return config;
}

// The recipe decides which fields there are, so that it is read before all else.
std::unique_ptr<RunConfig> resolve(const config::Document& document, const std::string& name) {
  const std::string recipe = document.scalar("recipe");
  const auto known = recipes::recipe_names();
  if (recipe.empty()) fail<UsageError>(name, ": recipe: missing; give one of ", join(known));
  if (std::find(known.begin(), known.end(), recipe) == known.end()) {
    std::string origin = name;
    for (const auto& entry : document.entries())
      if (entry.path == "recipe") origin = entry.origin;
    const std::string near = nearest(recipe, known);
    const std::string hint = near.empty() ? cat("it is one of ", join(known)) : cat("did you mean ", near, "?");
    fail<UsageError>(origin, ": recipe: no recipe is called \"", recipe, "\"; ", hint);
  }
  auto config = declare(recipe);
  document.apply(config->binder);
  return config;
}

}  // namespace

void OptimizerConfig::bind(config::Binder& b) {
  b.field("lr", lr, 2e-4, "base learning rate; recipes may scale it for each network",
          {.min = 0, .source = "GAT, CAT"});
  b.field("beta1", beta1, 0, "decay of the gradient's mean", {.min = 0, .max = 0.9999, .source = "GAT"});
  b.field("beta2", beta2, 0.99, "decay of the gradient's square", {.min = 0, .max = 0.999999, .source = "GAT"});
  b.field("eps", eps, 1e-8, "added to the root of the square", {.min = 0, .source = "GAT"});
  b.field("weight_decay", weight_decay, 0, "decoupled weight decay", {.min = 0, .source = "GAT"});
  b.field("decay", decay, "all", "weights that decay: all, or only those of attention (self-, cross- and of text)",
          {.choices = {"all", "attention"}, .source = "GigaGAN: attention"});
  b.field("max_grad_norm", max_grad_norm, 1, "gradients longer than this are scaled down to it; 0: never",
          {.min = 0, .source = "GAT"});
  b.field("schedule", schedule, "constant",
          "learning rate after the warm-up: constant and warmup stay at lr, cosine falls to final_lr",
          {.choices = {"constant", "warmup", "cosine"}});
  b.field("warmup", warmup, 0, "steps over which the learning rate rises from 0", {.min = 0, .unit = "steps"});
  b.field("decay_steps", decay_steps, 0, "step at which the cosine ends; 0: train.steps", {.min = 0, .unit = "steps"});
  b.field("final_lr", final_lr, 0, "factor on lr at the cosine's end", {.min = 0, .max = 1});
  b.field("ema", ema, 0.999, "decay of the generator's moving average", {.min = 0, .max = 1, .source = "GAT, CAT"});
  b.field("ema_warmup", ema_warmup, 0, "decay at step t is at most (1 + t) / (ema_warmup + t); 0: off",
          {.min = 0, .unit = "steps"});
  b.check("schedule", [this]() -> std::string {
    return schedule == "warmup" && warmup == 0 ? "schedule warmup needs optimizer.warmup of 1 or more" : "";
  });
  b.check("decay_steps", [this]() -> std::string {
    if (schedule != "cosine" || decay_steps == 0 || decay_steps > warmup) return "";
    return cat("the cosine ends at step ", decay_steps, ", before the warm-up of ", warmup, " steps does");
  });
}

void TrainSection::bind(config::Binder& b) {
  b.field("steps", steps, 100'000, "steps in all; one updates both networks once",
          {.min = 1, .unit = "steps", .free_on_resume = true});
  b.field("batch", batch, 64, "samples of a step, over all ranks", {.min = 1, .unit = "samples"});
  b.field("accumulate", accumulate, 1, "parts that a rank's batch is computed in, for less memory", {.min = 1});
  b.field(
      "reuse_fakes", reuse_fakes, true,
      "without accumulation one generator forward serves both halves of a step: faster, keeps its activations longer",
      {.free_on_resume = true});
  b.field("device", device, "auto", "auto, cpu, cuda, cuda:N; auto: this rank's GPU where there is one",
          {.free_on_resume = true});
  b.field("precision", precision, "fp32", "of the networks' arithmetic; weights stay float32",
          {.choices = {"fp32", "tf32", "bf16", "fp16"}});
  b.field("activation_checkpoint", activation_checkpoint, "off", "off, blocks or every:N: computed again, not stored",
          {.free_on_resume = true});
  b.field("threads", threads, 0, "threads of a rank on the CPU; 0: OMP_NUM_THREADS, or all cores",
          {.min = 0, .max = 4096, .free_on_resume = true});
  b.field("backend", backend, "auto", "how ranks talk; auto: nccl on GPUs, gloo on CPUs",
          {.choices = {"auto", "gloo", "nccl"}, .free_on_resume = true});
  b.field("timeout", timeout, 600, "a rank that is silent for longer ends the run",
          {.min = 1, .unit = "s", .free_on_resume = true});
  b.field("shard_optimizer", shard_optimizer, false,
          "ranks share AdamW's moments (ZeRO, stage 1): less memory, the same numbers", {.free_on_resume = true});
  b.section("profile", profile, "a trace of some steps in RUN/profile");
  b.field("bucket_mb", bucket_mb, 25, "gradients that ranks exchange at once",
          {.min = 0.01, .unit = "MB", .free_on_resume = true});
  b.field("gradient_compression", gradient_compression, "none",
          "bf16: gradients travel between ranks as bfloat16, half the bytes, and are summed as such",
          {.choices = {"none", "bf16"}});
  b.field("deterministic", deterministic, false, "only algorithms that give the same bits each time, on GPUs as well",
          {.free_on_resume = true});
  b.field("nonfinite_limit", nonfinite_limit, 20,
          "steps in a row with a gradient that is not finite after which the run stops",
          {.min = 1, .unit = "steps", .free_on_resume = true});
  b.field("init", init, "",
          "a run, a checkpoint or a generator's .safetensors file whose weights a new run begins with, where names and "
          "shapes agree; not read on resume",
          {.unit = "path", .free_on_resume = true});
  b.field("stop_on", stop_on, {"nonfinite"},
          "faults that end the run with exit code 1: nonfinite gradients, losses that have diverged, samples that have "
          "collapsed into one; of the others the log warns",
          {.choices = {"nonfinite", "diverged", "collapsed"}, .free_on_resume = true});
  b.check("activation_checkpoint", [this]() -> std::string {
    try {
      nn::CheckpointPolicy policy(activation_checkpoint);
    } catch (const UsageError&) {
      return cat(activation_checkpoint, " is none of off, blocks, every:N");
    }
    return "";
  });
}

void ProfileSection::bind(config::Binder& b) {
  b.field("from", from, 10, "steps of this process that are done before the trace begins",
          {.min = 0, .unit = "steps", .free_on_resume = true});
  b.field("steps", steps, 0, "steps that are traced; 0: none",
          {.min = 0, .max = 1000, .unit = "steps", .free_on_resume = true});
}

void LogSection::bind(config::Binder& b) {
  b.field("every", every, 50, "steps between lines in log.txt, metrics.jsonl and the event file",
          {.min = 1, .unit = "steps", .free_on_resume = true});
  b.field("samples_every", samples_every, 1000, "steps between sample grids; 0: none",
          {.min = 0, .unit = "steps", .free_on_resume = true});
  b.field("sample_count", sample_count, 64, "samples in a grid", {.min = 1, .max = 4096, .free_on_resume = true});
  b.field("plain_every", plain_every, 10, "seconds between progress lines where there is no terminal",
          {.min = 0.1, .unit = "s", .free_on_resume = true});
  b.field("peak_tflops", peak_tflops, 0, "peak of one device at this precision, for the MFU figure; 0: not shown",
          {.min = 0, .unit = "TFLOP/s", .free_on_resume = true});
  b.field("diversity_warning", diversity_warning, 0.2,
          "warn when the relative diversity of samples falls under this fraction of its highest value",
          {.min = 0, .max = 1, .free_on_resume = true});
  b.field("tensorboard", tensorboard, true, "write TensorBoard event files", {.free_on_resume = true});
}

void CheckpointSection::bind(config::Binder& b) {
  b.field("every", every, 1000, "steps between checkpoints", {.min = 1, .unit = "steps", .free_on_resume = true});
  b.field("keep_last", keep_last, 3, "newest checkpoints that are kept", {.min = 1, .free_on_resume = true});
  b.field("keep_every", keep_every, 0, "checkpoints at multiples of this many steps are kept for good; 0: none",
          {.min = 0, .unit = "steps", .free_on_resume = true});
}

void EvalSection::bind(config::Binder& b) {
  b.field("every", every, 0, "steps between evaluations of the averaged generator; 0: none",
          {.min = 0, .unit = "steps", .free_on_resume = true});
  b.field("metrics", metrics, {"fid"}, "what is measured, as `gigacat eval` names it", {.free_on_resume = true});
  b.field("samples", samples, 5000, "images drawn for an evaluation",
          {.min = 2, .unit = "images", .source = "GAT's fid5k", .free_on_resume = true});
  b.field("truncation", truncation, {1.0},
          "psi of the samples; further values are measured beside, as fid@0.9, from the same latents",
          {.min = 0, .max = 2, .free_on_resume = true});
  b.field("real", real, "", "reference images or statistics; empty: the run's own data, as the networks see it",
          {.free_on_resume = true});
  b.field("protocol", protocol, "adm", "how images are resized for Inception",
          {.choices = eval::protocol_names(), .free_on_resume = true});
  b.field("weights", weights, {},
          "weight files, FILE (Inception) or NAME=FILE, network=FILE of your own; empty: those in the cache folder",
          {.free_on_resume = true});
  b.field("batch", batch, 0, "images at once; 0: 16 on a CPU, 64 on a GPU", {.min = 0, .free_on_resume = true});
  b.field("best", best, "fid",
          "metric by which the best checkpoint is kept as RUN/best, where eval.metrics has it; empty: none",
          {.free_on_resume = true});
  b.check("metrics", [this]() -> std::string {
    try {
      for (const std::string& metric : metrics) eval::is_larger_better(metric);
    } catch (const UsageError& error) {
      return error.what();
    }
    return every > 0 && metrics.empty() ? "no metric is named" : "";
  });
  b.check("best", [this]() -> std::string {
    const std::string value = best.substr(0, best.find('@')), metric = eval::metric_of(value);
    if (best.empty() || every == 0) return "";
    if (metric.empty()) {
      const std::string near = nearest(value, eval::value_names());
      return cat("no metric gives ", value, near.empty() ? "" : cat("; did you mean ", near, "?"));
    }
    const bool measured = std::find(metrics.begin(), metrics.end(), metric) != metrics.end();
    return measured || best == "fid" ? "" : cat("eval.metrics does not hold ", metric);
  });
  b.check("truncation", [this] { return truncation.empty() ? "give at least one psi; 1 is off" : ""; });
}

models::ImageShape RunConfig::image_shape() const {
  return {.channels = data.channels,
          .height = data.target_height(),
          .width = data.target_width(),
          .num_classes = std::max<int64_t>(1, data.num_classes)};
}

pretrained::LatentSpace RunConfig::open_space(at::Device device) const {
  return {autoencoder, data.channels, data.latent_scale, data.latent_shift, device};
}

std::unique_ptr<models::Model> RunConfig::build_model(const nn::Init& init) const {
  return gan.model->build(image_shape(), init);
}

Gan build_gan(const RunConfig& config) {
  const auto seed = static_cast<uint64_t>(config.seed);
  Gan made{config.build_model(nn::Init(seed, "G")), nullptr};
  made.recipe = config.gan.loss->build(*made.model, nn::Init(seed, "D"));
  return made;
}

std::string RunConfig::batch_fault(int world) const {
  const int64_t parts = world * train.accumulate, together = gan.model->samples_together(train.batch);
  const std::string whose = cat(world == 1 ? "" : cat(world, " ranks x "), "train.accumulate ", train.accumulate);
  if (train.batch % parts != 0) return cat(train.batch, " is not divisible by ", whose);
  if (train.batch / parts % together == 0) return "";
  return cat(train.batch, " by ", whose, " is ", train.batch / parts, " samples at once, no multiple of the ", together,
             " that the discriminator compares (model.discriminator.std_group)");
}

int64_t RunConfig::micro_batch(int world) const {
  if (const std::string fault = batch_fault(world); !fault.empty())
    throw UsageError(config::complaint(binder, "train.batch", fault));
  return train.batch / (world * train.accumulate);
}

std::unique_ptr<RunConfig> load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  return resolve(config::Document::load(file, overrides), file.string());
}

std::unique_ptr<RunConfig> parse_config(const std::string& yaml, const std::string& name,
                                        const std::vector<std::string>& overrides) {
  return resolve(config::Document::parse(yaml, name, overrides), name);
}

std::unique_ptr<RunConfig> default_config(const std::string& recipe) { return declare(recipe); }

}  // namespace gigacat::run
