#include "gigacat/train/memory.h"

#include "gigacat/nn/state.h"

namespace gigacat::train {

MemoryEstimate estimate_memory(const RunConfig& config, int64_t batch, int world) {
  constexpr double kFloat = 4;  // bytes
  // In bf16 and fp16 a transformer's residual stream stays float32, and a GPU keeps queries, keys and values beside
  // what they are made of: 23 of 36 bytes. Measured of GAT-S, -B and -XL: 0.63 to 0.66.
  constexpr double kShort = 23.0 / 36;
  recipes::Recipe& recipe = *config.recipe;
  const auto elements = [](const std::vector<at::Tensor>& tensors) {
    return static_cast<double>(nn::count_elements(tensors));
  };
  const double trained = elements(recipe.generator().parameters()) + elements(recipe.discriminator().parameters());
  const double buffers = elements(recipe.generator().buffers()) + elements(recipe.discriminator().buffers());
  const bool half = config.train.precision == "bf16" || config.train.precision == "fp16";

  MemoryEstimate memory;
  memory.batch = batch;
  memory.precision = config.train.precision;
  memory.checkpointed = config.train.activation_checkpoint != "off";
  memory.weights = kFloat * (trained + buffers);
  memory.ema = kFloat * (elements(recipe.generator().parameters()) + elements(recipe.generator().buffers()));
  memory.gradients = kFloat * trained;
  const double moments = config.optimizer.beta1 > 0 ? 2 : 1;
  memory.optimizer = moments * kFloat * trained / (config.train.shard_optimizer ? world : 1);
  memory.activations = static_cast<double>(batch) * recipe.cost().activation_bytes * (half ? kShort : 1);
  return memory;
}

}  // namespace gigacat::train
