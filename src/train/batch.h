// From the loader's host memory to what recipes see.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "gigacat/data/loader.h"
#include "gigacat/recipes/recipe.h"

namespace gigacat::train {

// A batch with the random numbers of its samples.
struct MicroBatch {
  std::unique_ptr<nn::StreamDraws> draws;
  recipes::Batch batch;  // batch.draws is `draws`
};

struct BatchOptions {
  uint64_t seed = 0;
  int64_t parts = 1;        // micro-batches
  int64_t num_classes = 1;  // labels at or over it are refused
  double latent_scale = 1, latent_shift = 0;
  at::Device device = at::kCPU;
  dist::Group* group = nullptr;
};

// The `parts` micro-batches of a rank's batch: equal runs of its rows. Captions are exchanged with the other ranks, for
// losses over all of them: a collective where there are some. Host memory is used in place.
//   image, pixels: uint8 -> images = x / 127.5 - 1, raw = x when it has three channels
//   latent:        images = (x - shift) * scale
//   moments:       images = (mean + deviation * noise - shift) * scale, noise from "data.moments"
// Beside latents `raw` holds the images they were made from, where the loader read them.
// Errors: Error for a label that is not below num_classes; InternalError when the rows do not divide into the parts.
std::vector<MicroBatch> to_device(data::HostBatch host, const BatchOptions& options);

// Memory for the loader: pinned when `device` is a GPU, which copies from it while it computes; empty (plain memory)
// otherwise.
std::function<std::shared_ptr<void>(size_t)> batch_memory(at::Device device);

}  // namespace gigacat::train
