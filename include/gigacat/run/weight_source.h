// Which file of a run, a checkpoint or a folder holds a generator's weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace gigacat::run {

// The config and the weight file behind a run folder, a checkpoint folder or a generator file.
struct WeightSource {
  std::filesystem::path origin;   // checkpoint folder or generator file
  std::filesystem::path weights;  // .safetensors
  std::filesystem::path config;   // .yaml
  std::string checksum;           // CRC-32C of the weights, 8 hexadecimal digits
};

// A run folder gives its newest checkpoint whose weights verify; only the file that is used is read. `weights`: "ema"
// or "generator". Errors: UsageError when `from` is none of the three, the file is damaged, or `weights` is neither.
WeightSource find_weights(const std::filesystem::path& from, const std::string& weights);

// The source that find_weights() gave on another rank: `text` is to_text() of it.
std::string to_text(const WeightSource& source);
WeightSource parse_source(const std::string& text);

// Whether find_weights() would take `path`.
bool holds_generator(const std::filesystem::path& path);

}  // namespace gigacat::run
