#include "gigacat/train/memory.h"

#include "gigacat/nn/state.h"

namespace gigacat::train {

NetworkSizes sizes_of(const run::Gan& gan) {
  const auto elements = [](const std::vector<at::Tensor>& tensors) {
    return static_cast<double>(nn::count_elements(tensors));
  };
  const torch::nn::Module &generator = gan.model->generator(), &discriminator = gan.model->discriminator();
  return {.trained = elements(generator.parameters()) + elements(discriminator.parameters()),
          .buffers = elements(generator.buffers()) + elements(discriminator.buffers()),
          .average = elements(generator.parameters()) + elements(generator.buffers()),
          .activation_bytes = gan.recipe->cost().activation_bytes};
}

MemoryEstimate estimate_memory(const run::RunConfig& config, const NetworkSizes& sizes, int64_t batch, int world) {
  constexpr double kFloat = 4;  // bytes
  // In bf16 and fp16 a transformer's residual stream stays float32, and a GPU keeps queries, keys and values beside
  // what they are made of: 23 of 36 bytes. Measured of GAT-S, -B and -XL: 0.63 to 0.66.
  constexpr double kShort = 23.0 / 36;
  const bool half = config.train.precision == "bf16" || config.train.precision == "fp16";
  const double moments = config.optimizer.beta1 > 0 ? 2 : 1;
  return {.batch = batch,
          .precision = config.train.precision,
          .checkpointed = config.train.activation_checkpoint != "off",
          .weights = kFloat * (sizes.trained + sizes.buffers),
          .ema = kFloat * sizes.average,
          .gradients = kFloat * sizes.trained,
          .optimizer = moments * kFloat * sizes.trained / (config.train.shard_optimizer ? world : 1),
          .activations = static_cast<double>(batch) * sizes.activation_bytes * (half ? kShort : 1)};
}

}  // namespace gigacat::train
