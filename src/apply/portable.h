// A generator in a form that other programs run: functions in the part of Python that TorchScript understands too,
// numbers and weights.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "gigacat/nn/state.h"
#include "gigacat/train/config.h"

namespace gigacat::apply {

// The texts of src/apply/portable.
extern const char* const kTransformerText;  // functions of GAT and CAT
extern const char* const kGigaganText;      // functions of GigaGAN
extern const char* const kLoaderText;       // a program of Python that draws images

struct Portable {
  std::string architecture;               // the recipe's name
  std::string dtype;                      // of the weights, as Python calls it: "bfloat16"
  std::string functions;                  // generate(weights, numbers, z, INPUTS..., truncation) and what it calls
  std::vector<std::string> inputs;        // INPUTS: "labels" [B], or "tokens" [B, L] and "end" [B]
  std::map<std::string, double> numbers;  // what shapes of weights do not tell
  nn::TensorMap weights;                  // by their own names
  recipes::ImageShape shape;
  int64_t z_dim = 0;
};

// Floating-point weights become `type`. Errors: UsageError for a recipe whose generator has no portable form.
Portable make_portable(const train::RunConfig& config, nn::TensorMap weights, at::ScalarType type);

// config.json of a folder that kLoaderText reads.
nlohmann::ordered_json describe_portable(const Portable& portable, const train::RunConfig& config);

}  // namespace gigacat::apply
