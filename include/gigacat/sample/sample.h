// Samples of a trained generator.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/io/image.h"

namespace gigacat::sample {

struct SampleRequest {
  std::filesystem::path from;  // run folder, checkpoint folder, or a generator .safetensors with config.yaml beside it
  std::filesystem::path out;   // folder for PNGs, or a file .png, .jpg, .webp (grid) or .npz (arr_0)
  std::string labels =
      "all";  // "all" (cycled), or a list as parse_classes() takes, cycled too: "0,1,4-6", "horse,ship"
  // Of a model of text: captions, cycled; empty: those of its config.
  std::vector<std::string> prompts;
  // "0,1,4-6": one sample each, whose class is that of its seed whatever the list; empty: `count` samples of `seed`.
  std::string seeds;
  int64_t count = 64, seed = 0;
  int64_t batch = 32;  // samples at once on a GPU; a CPU takes 8, which is no slower and gives equal bits for any batch
  double truncation = 1.0, guidance = 1.0;
  bool all_stages = false;             // every stage's image, coarse first; default: the last
  std::string weights = "ema";         // "ema" or "generator"
  std::string upsampler;               // makes the images larger: as upsample::Upsampler takes it; "": they stay
  int64_t scale = 0;                   // how many times; 0: the upsampler's own factor
  int64_t show = 0;                    // how many of the samples the report gives back as images
  std::vector<std::string> overrides;  // values of the run's config, as autoencoder.weights=vae.safetensors
};

struct SampleReport {
  int64_t written = 0, kept = 0;  // samples of all ranks; kept: already there from an interrupted call
  double seconds = 0;
  std::string checkpoint;        // folder or file that the weights came from
  std::vector<io::Image> first;  // the first SampleRequest::show of those that rank 0 drew, RGB, last stages
};

// Sample i is a function of (weights, seed i, label i) alone: on a CPU the written bytes are the same whatever the
// batch or the number of ranks; on GPUs they are for one batch size, and another may round matrix products differently.
// A folder of PNGs and an .npz that were interrupted go on: samples.json holds the settings and each sample's files,
// seed and condition; an .npz keeps its pixels in OUT.parts, which all ranks must see, until it is whole. A grid has a
// row for each of `prompts` or of listed classes, else it is about square. PNG files say in their texts what was drawn.
// Errors: as Upsampler and parse_classes(); UsageError for unknown weights, no checkpoint, a folder that holds other
// samples, another kind of file; Error for I/O.
SampleReport write_samples(const SampleRequest& request, dist::Group& group);

}  // namespace gigacat::sample
