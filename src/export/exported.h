// A generator with its weights, ready for the formats of other programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "gigacat/models/model.h"
#include "gigacat/nn/state.h"
#include "gigacat/run/config.h"
#include "gigacat/run/weight_source.h"

namespace gigacat::exports {

// A program of Python that draws images from a folder of write_huggingface().
extern const char* const kLoaderText;

struct Exported {
  std::unique_ptr<run::RunConfig> config;
  std::unique_ptr<models::Model> model;
  models::ExportedGenerator generator;
  nn::TensorMap weights;                 // by their own names
  std::set<std::string> buffers;         // names of weights that are not trained
  std::string dtype;                     // of the weights, as Python calls it: "bfloat16"
  std::vector<std::string> class_names;  // where they are known
  bool makes_pixels = false;             // images in [-1, 1]; else latents
};

// Floating-point weights become `type`. Errors: UsageError for a model that has no form for other programs.
Exported load_exported(const run::WeightSource& source, at::ScalarType type);

// config.json of a folder that kLoaderText reads.
nlohmann::ordered_json describe(const Exported& exported);

}  // namespace gigacat::exports
