// Random numbers of a step by name. Training draws them from counter-based streams; golden cases read them from a file.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>
#include <vector>

#include "gigacat/core/random.h"

namespace gigacat::nn {

class RandomDraws {
 public:
  virtual ~RandomDraws() = default;
  // N(0, 1), [leading..., B, per_sample...], float32.
  virtual at::Tensor normal(std::string_view purpose, at::IntArrayRef leading, at::IntArrayRef per_sample) const = 0;
  // Uniform in [0, 1), [B, per_sample...], float32.
  virtual at::Tensor uniform(std::string_view purpose, at::IntArrayRef per_sample) const = 0;
  // 1 with the probability, otherwise 0; [B], float32.
  virtual at::Tensor chance(std::string_view purpose, double probability) const = 0;
  // Whole numbers uniform in [low, high], [B], int64.
  virtual at::Tensor integers(std::string_view purpose, int64_t low, int64_t high) const = 0;
};

// Draws of the samples at `positions` (global places, see data::HostBatch) in `step`: the value of a sample depends on
// (seed, purpose, step, position) alone, not on the batch it sits in.
class StreamDraws : public RandomDraws {
 public:
  StreamDraws(uint64_t seed, int64_t step, std::vector<int64_t> positions, at::Device device);
  at::Tensor normal(std::string_view purpose, at::IntArrayRef leading, at::IntArrayRef per_sample) const override;
  at::Tensor uniform(std::string_view purpose, at::IntArrayRef per_sample) const override;
  at::Tensor chance(std::string_view purpose, double probability) const override;
  at::Tensor integers(std::string_view purpose, int64_t low, int64_t high) const override;

 private:
  uint64_t seed_;
  int64_t step_;
  std::vector<int64_t> positions_;
  at::Device device_;
  at::Tensor device_positions_;  // of a GPU, which makes the floats itself: the same to the bit
};

}  // namespace gigacat::nn
