// A folder in the style of the Hugging Face hub: weights, config, a card and a program of Python.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "export/exported.h"

namespace gigacat::exports {

// What a card says of a run; empty where the weights came without one.
struct RunFacts {
  std::string weights;                      // which ones they are
  nlohmann::json run;                       // run.json
  nlohmann::json state;                     // state.json of the checkpoint
  std::vector<nlohmann::json> evaluations;  // the newest result of each metric, as metrics.jsonl has it
};

// Read beside the weights. Errors: Error for files that are damaged.
RunFacts read_facts(const run::WeightSource& source);

// README.md: YAML front matter with `license`, then data, steps, metrics and how to draw.
std::string model_card(const Exported& exported, const RunFacts& facts, const std::string& license);

// model.safetensors config.json config.yaml classes.json (where names are known) README.md gigacat_generator.py
// gigacat_network.py in the folder `out`, which `sample` takes by its model.safetensors too. Errors: Error.
void write_huggingface(const Exported& exported, const run::WeightSource& source, const std::string& license,
                       const std::filesystem::path& out);

}  // namespace gigacat::exports
