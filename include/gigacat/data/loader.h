// The prefetching loader: worker threads decode into whole batches, in the order that (seed, epoch) gives.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/data/source.h"

namespace gigacat::data {

// A rank's part of one global batch, in host memory.
struct HostBatch {
  int64_t step = 0;
  int64_t count = 0;  // B of this rank
  Content content = Content::image;
  int64_t channels = 0, height = 0, width = 0;
  // image, pixels: uint8 [B, C, H, W]; latent: float32 [B, C, H, W]; moments: float32 [B, 2C, H, W] (channels = 2C).
  std::shared_ptr<void> values;
  size_t bytes = 0;
  std::vector<int64_t> labels;        // [B]; 0 when the data has none
  std::vector<std::string> captions;  // [B] or empty
  std::vector<int64_t> positions;     // [B] place in the endless global order: step * global_batch + i
  std::vector<int64_t> indices;       // [B] index in the source
  // Alignment features of the real images, float32, when the source has them: [B, tokens, width], class token first.
  std::vector<float> features;
  int64_t feature_tokens = 0, feature_width = 0;
  // The images that latents were made from, uint8 [B, 3, raw_size, raw_size], when data.raw_resolution asks for them.
  std::vector<uint8_t> raw;
  int64_t raw_size = 0;
  double wait_seconds = 0;  // that the caller waited for it
};

struct LoaderOptions {
  uint64_t seed = 0;
  int64_t global_batch = 0;  // over all ranks and accumulation steps
  int rank = 0, world = 1;
  int64_t first_step = 0;         // the loader starts here without reading what was consumed
  int64_t last_step = INT64_MAX;  // nothing is read for steps after this one
  // Memory for a batch; plain when empty. The trainer passes pinned memory when a GPU is used.
  std::function<std::shared_ptr<void>(size_t bytes)> allocate;
};

struct LoaderReport {
  int64_t read = 0, bad = 0;  // samples in the batches handed out so far, with the bad ones met; different bad samples
  std::vector<std::string> first_bad;  // up to 20 lines "name: reason"
};

// Batches are the same whatever `workers` and `world`: rank r of world w gets places [r, r+1) * global_batch / w of
// each global batch. Flips and random crops come from the streams "data.flip" and "data.crop" at the place. A sample
// that cannot be decoded is counted, named in the log and replaced by the next good one in index order (the same one on
// every run).
class Loader {
 public:
  // Errors: UsageError when global_batch is not divisible by world, and as check_source.
  Loader(std::shared_ptr<const Source> source, const DataConfig& config, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch; blocks until it is ready. Errors: Error once bad samples exceed config.max_bad_fraction of those
  // read (and are more than 10 or more than the fraction of the whole set), naming the first of them; what failed in a
  // worker; InternalError past last_step.
  HostBatch next();
  LoaderReport report() const;
  const SampleLayout& layout() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Decodes, crops and resizes one image sample into planes uint8 [C, H, W]; the loader's own step, for `inspect` and
// tests. `position` picks the flip and the random crop. Errors: Error.
void decode_sample(const RawSample& sample, const DataConfig& config, uint64_t seed, int64_t position, uint8_t* planes);

}  // namespace gigacat::data
