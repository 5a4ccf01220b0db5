// Which file of a run, a checkpoint or a folder holds a generator's weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace gigacat::run {

// The config and the weight file behind a run folder, a checkpoint folder or a generator file.
struct WeightSource {
  std::filesystem::path origin;          // checkpoint folder or generator file
  std::filesystem::path weights;         // .safetensors
  std::filesystem::path config;          // .yaml
  std::string checksum;                  // CRC-32C of the weights, 8 hexadecimal digits
  std::vector<std::string> class_names;  // as the folder of the config has them; empty: not known
};

// A run folder gives its newest checkpoint whose weights verify; only the file that is used is read. `weights`: "ema"
// or "generator". Errors: UsageError when `from` is none of the three, the file is damaged, or `weights` is neither.
WeightSource find_weights(const std::filesystem::path& from, const std::string& weights);

// The checkpoint or file in few words that do not depend on where the run lies: "00000-cat/step-0001000",
// "cat.safetensors".
std::string short_name(const WeightSource& source);

// The source that find_weights() gave on another rank: `text` is to_text() of it.
std::string to_text(const WeightSource& source);
WeightSource parse_source(const std::string& text);

// Whether find_weights() would take `path`.
bool holds_generator(const std::filesystem::path& path);

}  // namespace gigacat::run
