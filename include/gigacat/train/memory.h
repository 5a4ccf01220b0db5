// How much memory training takes, estimated from the sizes of the networks.
#pragma once

#include <cstdint>
#include <string>

#include "gigacat/run/config.h"

namespace gigacat::train {

// Bytes on one device for `batch` samples at once.
struct MemoryEstimate {
  int64_t batch = 0;
  std::string precision;      // activations take two thirds of the bytes in bf16 and fp16
  bool checkpointed = false;  // activations are then an upper bound
  double weights = 0, ema = 0, gradients = 0, optimizer = 0, activations = 0;
  double total() const { return weights + ema + gradients + optimizer + activations; }
};

// Elements of the networks and bytes kept for the backward pass of one sample.
struct NetworkSizes {
  double trained = 0, buffers = 0;  // of both networks
  double average = 0;               // of the generator, which the moving average doubles
  double activation_bytes = 0;
};
NetworkSizes sizes_of(const run::Gan& gan);

// Weights, gradients and moments in float32.
// `world`: ranks, which may share the moments.
MemoryEstimate estimate_memory(const run::RunConfig& config, const NetworkSizes& sizes, int64_t batch, int world = 1);

}  // namespace gigacat::train
