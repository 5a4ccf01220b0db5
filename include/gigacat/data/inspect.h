// What is in a data set, for `gigacat data inspect`.
#pragma once

#include <map>
#include <string>

#include "gigacat/data/source.h"

namespace gigacat::data {

struct Inspection {
  int64_t samples = 0, bad = 0, with_label = 0, with_caption = 0;
  std::map<int64_t, int64_t> classes;          // label -> count
  std::map<std::string, int64_t> sizes;        // "WxH" -> count, of those looked at
  std::vector<std::string> first_bad;
  double images_per_second = 0;                // through the loader's own decoding, all workers
  std::string identity, recipe;
};

// Reads up to `limit` samples (0: all) evenly spread, on config.workers threads. Errors: as open_source.
Inspection inspect(const Source& source, const DataConfig& config, int64_t limit);

// A PNG of `rows` x `columns` samples as the loader would give them.
std::string contact_sheet(const Source& source, const DataConfig& config, int64_t rows, int64_t columns);

}  // namespace gigacat::data
