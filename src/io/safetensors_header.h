// The JSON header of a safetensors file, as written there.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gigacat/io/safetensors.h"

namespace gigacat::io {

struct HeaderEntry {
  Dtype dtype;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // within the data
};

struct SafetensorsHeader {
  std::map<std::string, HeaderEntry> tensors;
  std::map<std::string, std::string> metadata;
};

// Errors: Error with the fault alone (the caller names the file); nothing is said yet about offsets against data.
SafetensorsHeader parse_header(std::string_view json);

}  // namespace gigacat::io
