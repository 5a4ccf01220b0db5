#include "gigacat/info/describe.h"

#include "gigacat/nn/state.h"

namespace gigacat::info {

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

ModelReport describe(const run::RunConfig& config) {
  const run::Gan gan = run::build_gan(config);
  const train::NetworkSizes sizes = train::sizes_of(gan);
  return {.shape = gan.model->shape(),
          .has_classes = gan.model->has_classes(),
          .class_names = {},
          .generator = describe_network(gan.model->generator()),
          .discriminator = describe_network(gan.model->discriminator()),
          .generator_cost = gan.model->generator_cost(),
          .discriminator_cost = gan.model->discriminator_cost(),
          .step_cost = gan.recipe->cost(),
          .sizes = sizes,
          .global_batch = config.train.batch,
          .memory = train::estimate_memory(config, sizes, config.train.batch / config.train.accumulate)};
}

}  // namespace gigacat::info
