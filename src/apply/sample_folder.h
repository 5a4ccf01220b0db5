// A folder of sample PNGs that an interrupted call can go on with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "gigacat/io/image.h"

namespace gigacat::apply {

class SampleFolder {
 public:
  // 000000.png; with several stages 000000-0.png (coarsest), 000000-1.png, ...
  SampleFolder(std::filesystem::path path, int64_t stages, int64_t height, int64_t width);

  // Creates the folder with samples.json, or accepts one of the same settings (more samples may be asked for, never
  // fewer). Errors: UsageError when it holds samples of other settings, or files without samples.json.
  void prepare(const nlohmann::json& settings) const;
  // True when every file of sample `i` is there, decodes and has the right size.
  bool holds(int64_t i) const;
  // Writes the files of sample `i`, one image per stage; each appears complete. Errors: Error.
  void write(int64_t i, const std::vector<io::Image>& stages) const;
  // Images of sample `i`, coarse first. Errors: Error.
  std::vector<io::Image> read(int64_t i) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path file(int64_t i, int64_t stage) const;
  std::filesystem::path path_;
  int64_t stages_, height_, width_;
};

}  // namespace gigacat::apply
