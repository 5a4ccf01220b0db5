// What fills a batch, one place at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/order.h"
#include "gigacat/data/loader.h"

namespace gigacat::data {

struct BadSample {
  int64_t index = 0;
  std::string reason;  // "name: fault"
};

class Assembler {
 public:
  Assembler(std::shared_ptr<const Source> source, const DataConfig& config, const LoaderOptions& options);

  // An empty batch of a step with its memory.
  HostBatch open(int64_t step) const;

  // Reads, decodes and stores the sample of place i of `batch`, which is that of the order or the next good one after
  // it. Bad samples passed over go to `bad`. Thread-safe for different places. Errors: Error when too many in a row are
  // bad.
  void fill(HostBatch& batch, int64_t i, std::vector<BadSample>& bad);

  int64_t per_rank() const { return per_rank_; }
  const SampleLayout& layout() const { return layout_; }
  const Source& source() const { return *source_; }

 private:
  void store(const RawSample& sample, HostBatch& batch, int64_t i) const;
  void store_latent(const RawSample& sample, HostBatch& batch, int64_t i) const;
  void store_features(const RawSample& sample, HostBatch& batch, int64_t i) const;
  bool known_bad(int64_t index, std::vector<BadSample>& bad) const;
  void remember(int64_t index, const std::string& reason, std::vector<BadSample>& bad);

  std::shared_ptr<const Source> source_;
  DataConfig config_;
  LoaderOptions options_;
  SampleLayout layout_;
  Order order_;
  int64_t per_rank_ = 0, most_in_a_row_ = 0;
  mutable std::mutex mutex_;
  std::unordered_map<int64_t, std::string> bad_;  // so that a bad sample is decoded once, not every epoch
  std::atomic<bool> any_bad_{false};
};

}  // namespace gigacat::data
