// Pictures of what a generator has learned: interpolation, style mixing, prompt mixing, truncation.
// Source: GigaGAN (arXiv 2303.05511) section 5.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"

namespace gigacat::edit {

enum class Edit {
  interpolate,  // rows: seeds, columns: steps from the first condition to the second; with one condition, rows go from
                // each seed to the next
  style_mix,    // rows: seeds of the layers before the crossover, columns: seeds of those behind it
  prompt_mix,   // rows: seeds, columns: crossovers; the first prompt before it, the second behind it
  truncation,   // rows: seeds, columns: psi
};

struct EditRequest {
  Edit what = Edit::interpolate;
  std::filesystem::path from, out;   // as SampleRequest's; a .png, or of interpolations a .webp that moves
  std::vector<std::string> prompts;  // of a model of text
  std::string labels;                // of a model of classes, as SampleRequest's: "0", "horse,ship"; empty: class 0
  std::string seeds = "0-3", columns = "4-7";
  std::vector<std::filesystem::path>
      styles;  // of project(), in place of `seeds`; with prompts, these captions replace theirs
  std::string weights = "ema";
  std::vector<double> psi{1, 0.8, 0.7, 0.5, 0};
  double truncation = 1;               // of all edits but the sweep
  int64_t steps = 8;                   // of an interpolation, its ends included
  int64_t crossover = -1;              // layer from which columns take over; -1: half of them
  std::vector<std::string> overrides;  // of the model's config, path=value
};

// What was written.
struct EditReport {
  int64_t rows = 0, columns = 0;
  std::string checkpoint;
};

// Writes one picture; a PNG says in its texts what it shows and which weights drew it. Errors: UsageError for another
// number of conditions than the edit takes, a crossover outside the layers, an output of another kind, and as
// sample::write_samples().
EditReport write_edit(const EditRequest& request, at::Device device);

}  // namespace gigacat::edit
