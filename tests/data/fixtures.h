// Small data sets in a temporary folder.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/data/source.h"

namespace gigacat::data {

namespace fs = std::filesystem;

// A folder that is removed with its content.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  // Writes a file, making the folders above it; returns its path.
  std::string write(const std::string& name, std::string_view bytes) const;
  std::string path(const std::string& name = "") const {
    return name.empty() ? root_.string() : (root_ / name).string();
  }

 private:
  fs::path root_;
};

using Members = std::vector<std::pair<std::string, std::string>>;

// A PNG of one colour.
std::string solid_png(int64_t height, int64_t width, uint8_t red, uint8_t green = 0, uint8_t blue = 0);
// A PNG whose pixels all differ from their neighbours.
std::string pattern_png(int64_t height, int64_t width);
std::string npy_f32(const std::vector<int64_t>& shape, const std::vector<float>& values);
// Archives in memory.
std::string tar_of(const Members& members, const fs::path& scratch);
std::string zip_of(const Members& members, const fs::path& scratch);

// Defaults with `path`, `resolution` and a cache folder that no other test uses.
DataConfig config_for(const std::string& path, int64_t resolution = 8);

// What was left out of a data set, a line each.
std::string reasons_of(const std::vector<LeftOut>& items);

// What `run` throws, as text; "" when it throws nothing.
template <class E, class Run>
std::string error_of(const Run& run) {
  try {
    run();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

}  // namespace gigacat::data
