// Samples of a trained generator.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"

namespace gigacat::apply {

struct SampleRequest {
  std::filesystem::path from;   // run folder, checkpoint folder, or a generator .safetensors with config.yaml beside it
  std::filesystem::path out;    // folder for PNGs, or a file .png (grid) or .npz (arr_0)
  std::string labels = "all";   // "all" (cycled), or a list and ranges: "0,1,4-6"
  std::string seeds;            // "0,1,4-6": one sample each; empty: `count` samples of `seed`
  int64_t count = 64, seed = 0, batch = 32;
  double truncation = 1.0, guidance = 1.0;
  bool all_stages = false;      // every stage's image, coarse first; default: the last
  std::string weights = "ema";  // "ema" or "generator"
};

struct SampleReport {
  int64_t written = 0, kept = 0;  // kept: already there from an interrupted call
  double seconds = 0;
  std::string checkpoint;
};

// Sample i is a function of (weights, seed i, label i) alone, whatever the batch or the number of ranks. A folder of PNGs that was interrupted goes on.
// Errors: UsageError for labels outside the classes, unknown weights, no checkpoint; Error for I/O.
SampleReport sample(const SampleRequest& request, dist::Group& group);

}  // namespace gigacat::apply
