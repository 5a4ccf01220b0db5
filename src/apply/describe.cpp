#include "gigacat/apply/describe.h"

#include "gigacat/nn/state.h"
#include "gigacat/recipes/recipe.h"

namespace gigacat::apply {
NetworkReport describe_network(const torch::nn::Module& network) {
  NetworkReport report;
  for (const auto& item : network.named_parameters(/*recurse=*/false))
    report.parts.push_back({item.key(), item.value().numel(), 0});
  for (const auto& item : network.named_buffers(/*recurse=*/false))
    report.parts.push_back({item.key(), 0, item.value().numel()});
  for (const auto& child : network.named_children())
    report.parts.push_back(
        {child.key(), nn::count_elements(child.value()->parameters()), nn::count_elements(child.value()->buffers())});
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
  report.memory = train::estimate_memory(config, config.train.batch / config.train.accumulate);
  return report;
}

}  // namespace gigacat::apply
