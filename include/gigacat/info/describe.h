// What a config asks of a machine: parameters, arithmetic, memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gigacat/run/config.h"
#include "gigacat/train/memory.h"

namespace gigacat::info {

// A top-level child of a network, or a parameter that the network itself holds.
struct Part {
  std::string name;
  int64_t parameters = 0;  // elements that are trained
  int64_t buffers = 0;     // elements that are not
};

struct NetworkReport {
  std::vector<Part> parts;
  int64_t parameters = 0, buffers = 0;  // sums over the parts
};

struct ModelReport {
  models::ImageShape shape;
  bool has_classes = false;
  std::vector<std::string> class_names;  // where they are known; describe() leaves them empty
  NetworkReport generator, discriminator;
  models::NetworkCost generator_cost, discriminator_cost;  // of one sample
  recipes::StepCost step_cost;
  train::NetworkSizes sizes;
  int64_t global_batch = 0;
  train::MemoryEstimate memory;
};

// Parts in the order: own parameters, own buffers, children.
NetworkReport describe_network(const torch::nn::Module& network);

// Builds the networks of `config` and counts; memory is for one rank that holds batch / accumulate samples at once,
// weights and moments in float32. Errors: UsageError when the config's shape does not fit the model.
ModelReport describe(const run::RunConfig& config);

// The report for a terminal.
std::string to_text(const ModelReport& report);

}  // namespace gigacat::info
