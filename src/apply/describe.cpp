#include "gigacat/apply/describe.h"

#include "gigacat/recipes/recipe.h"

namespace gigacat::apply {
namespace {

constexpr double kFloat = 4;  // bytes

int64_t count(const std::vector<at::Tensor>& tensors) {
  int64_t elements = 0;
  for (const at::Tensor& tensor : tensors) elements += tensor.numel();
  return elements;
}

MemoryReport memory_of(const ModelReport& report, const train::TrainSection& train) {
  const auto g = static_cast<double>(report.generator.parameters + report.generator.buffers);
  const auto d = static_cast<double>(report.discriminator.parameters + report.discriminator.buffers);
  const auto trained = static_cast<double>(report.generator.parameters + report.discriminator.parameters);
  MemoryReport memory;
  memory.batch = train.batch / train.accumulate;
  memory.precision = train.precision;
  memory.checkpointed = train.activation_checkpoint != "off";
  memory.weights = (g + d) * kFloat;
  memory.ema = g * kFloat;
  memory.gradients = trained * kFloat;
  memory.optimizer = 2 * trained * kFloat;  // AdamW keeps two moments
  const bool half = train.precision == "bf16" || train.precision == "fp16";
  memory.activations = static_cast<double>(memory.batch) * report.cost.activation_bytes * (half ? 0.5 : 1);
  return memory;
}

}  // namespace

NetworkReport describe_network(const torch::nn::Module& network) {
  NetworkReport report;
  for (const auto& item : network.named_parameters(/*recurse=*/false))
    report.parts.push_back({item.key(), item.value().numel(), 0});
  for (const auto& item : network.named_buffers(/*recurse=*/false))
    report.parts.push_back({item.key(), 0, item.value().numel()});
  for (const auto& child : network.named_children())
    report.parts.push_back({child.key(), count(child.value()->parameters()), count(child.value()->buffers())});
  for (const Part& part : report.parts) {
    report.parameters += part.parameters;
    report.buffers += part.buffers;
  }
  return report;
}

ModelReport describe(train::RunConfig& config) {
  ModelReport report;
  report.shape = config.image_shape();
  config.recipe->build(report.shape, static_cast<uint64_t>(config.seed));
  report.generator = describe_network(config.recipe->generator());
  report.discriminator = describe_network(config.recipe->discriminator());
  report.cost = config.recipe->cost();
  report.global_batch = config.train.batch;
  report.memory = memory_of(report, config.train);
  return report;
}

}  // namespace gigacat::apply
