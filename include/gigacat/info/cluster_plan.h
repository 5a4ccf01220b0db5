// What training would take on many GPUs, on paper: memory of each, time of a step, gradients on the wire.
#pragma once

#include <cstdint>
#include <string>

#include "gigacat/core/config.h"
#include "gigacat/info/describe.h"

namespace gigacat::info {

// A machine. Every figure is a key of --plan, with the profile's value as its default.
struct MachinePlan {
  std::string profile;  // "h100", "a100"
  int64_t gpus, gpus_per_node;
  double memory_gb;    // of a GPU
  double tflops;       // dense peak of a GPU at the config's precision
  double utilisation;  // share of the peak that training reaches
  double memory_gbs;   // GB/s of a GPU's own memory
  double node_gbs;     // GB/s between GPUs of a node, each way
  double network_gbs;  // GB/s out of a node for each of its GPUs, each way
  double latency_us;   // of one exchange of a bucket
  double overlap;      // share of the backward passes that exchanges can hide behind
  // `precision`: of the config, which chooses the peak.
  void bind(config::Binder& b, const std::string& precision);
};

// Reads "gpus=64,profile=h100,utilisation=0.3". Errors: UsageError for a key or value that is none of them.
MachinePlan parse_plan(const std::string& text, const std::string& precision);

// Seconds of one step, bytes on one GPU.
struct PlanReport {
  MachinePlan machine;
  int64_t micro_batch = 0;  // samples at once
  train::MemoryEstimate memory;
  bool fits = false;          // memory with a tenth left over
  double gradient_bytes = 0;  // that each rank sends in a step
  double compute = 0;         // arithmetic at `utilisation` of the peak
  double update = 0;          // weights, moments and average read and written once
  double all_reduce = 0;      // all gradients, if nothing hid them
  double exposed = 0;         // of it, what backward does not hide
  double gather = 0;          // updated weights from the ranks that hold their moments (train.shard_optimizer)
  double step() const { return compute + update + exposed + gather; }
};

// A ring inside each node and one between nodes for each of a node's GPUs. `report` is describe()'s of `config`.
// Errors: UsageError when the batch does not divide over the GPUs.
PlanReport plan(const run::RunConfig& config, const ModelReport& report, const MachinePlan& machine);

// The report for a terminal, with the machine's figures that it rests on.
std::string to_text(const PlanReport& report, const run::RunConfig& config);

}  // namespace gigacat::info
