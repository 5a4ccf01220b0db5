#include <ATen/ATen.h>

#include <cmath>
#include <sstream>

#include "gigacat/core/error.h"
#include "gigacat/data/loader.h"
#include "gigacat/nn/state.h"
#include "gigacat/train/memory.h"
#include "gigacat/train/trainer.h"
#include "train/initial_weights.h"
#include "train/setup.h"

namespace gigacat::train {
namespace {

// Decodes the first sample that can be read, as the loader would. Errors: Error with the first fault when none of the
// first can.
std::string first_sample(const std::shared_ptr<const data::Source>& source, const run::RunConfig& config,
                         bool has_classes) {
  data::DataConfig data = config.data;
  data.workers = 1;
  data.prefetch = 1;
  data::LoaderOptions options;
  options.seed = static_cast<uint64_t>(config.seed);
  options.global_batch = 1;
  options.last_step = 0;
  const data::HostBatch batch = data::Loader(source, data, options).next();
  const std::string label = has_classes && !batch.labels.empty() ? cat(", label ", batch.labels[0]) : "";
  return cat("[", batch.channels, ", ", batch.height, ", ", batch.width, "]", label);
}

void describe_batch(std::ostream& out, const run::RunConfig& config, int world, int64_t samples) {
  const int64_t micro = config.micro_batch(world);
  const double epochs = static_cast<double>(config.train.steps * config.train.batch) / static_cast<double>(samples);
  out << "batch       " << config.train.batch << " = " << world << " ranks x " << config.train.accumulate << " parts x "
      << micro << " samples\n"
      << "length      " << config.train.steps << " steps, "
      << human(static_cast<double>(config.train.steps * config.train.batch)) << " images, " << epochs << " epochs\n";
}

void describe_networks(std::ostream& out, const run::RunConfig& config, const run::Gan& gan, int world) {
  const auto parameters = [](const torch::nn::Module& network) {
    return human(static_cast<double>(nn::count_elements(network.parameters())));
  };
  const MemoryEstimate memory = estimate_memory(config, sizes_of(gan), config.micro_batch(world), world);
  out << "generator   " << parameters(gan.model->generator()) << " parameters, "
      << human(gan.model->generator_cost().flops) << "FLOP a forward pass of one sample\n"
      << "discriminator " << parameters(gan.model->discriminator()) << " parameters, "
      << human(gan.model->discriminator_cost().flops) << "FLOP\n"
      << "step        " << human(gan.recipe->cost().flops * static_cast<double>(config.train.batch))
      << "FLOP over all ranks\n"
      << "memory      " << human_bytes(memory.total()) << " a rank: weights and average "
      << human_bytes(memory.weights + memory.ema) << ", gradients " << human_bytes(memory.gradients) << ", AdamW "
      << human_bytes(memory.optimizer) << ", activations " << human_bytes(memory.activations)
      << (memory.checkpointed ? " at most (train.activation_checkpoint lowers it)" : "") << "\n";
}

}  // namespace

std::string dry_run(run::RunConfig& config, int world, bool resumed) {
  if (world < 1) fail<UsageError>("--world ", world, ": at least 1");
  config.micro_batch(world);
  if (!resumed) check_initial_weights(config.train.init);
  const auto source = open_data(config);
  const models::ImageShape shape = config.image_shape();
  const run::Gan gan = run::build_gan(config);
  const bool has_classes = gan.model->has_classes();
  std::ostringstream out;
  out << "recipe      " << config.recipe_name << ", " << config.train.precision << "\n"
      << "data        " << config.data.path << ": " << source->size() << " samples"
      << (has_classes ? cat(", ", shape.num_classes, " classes") : "") << "; first "
      << first_sample(source, config, has_classes) << "\n"
      << "shape       [" << shape.channels << ", " << shape.height << ", " << shape.width << "]\n"
      << "space       " << config.open_space(at::kCPU).name() << "\n";
  describe_batch(out, config, world, source->size());
  describe_networks(out, config, gan, world);
  return out.str();
}

}  // namespace gigacat::train
