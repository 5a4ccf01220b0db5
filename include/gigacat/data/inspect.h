// What is in a data set, for `gigacat data inspect`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "gigacat/data/source.h"

namespace gigacat::data {

struct Inspection {
  int64_t samples = 0, bad = 0;              // read, and of those broken
  int64_t with_label = 0, with_caption = 0;  // of those read
  std::map<int64_t, int64_t> classes;        // label -> count, in the whole set
  std::map<std::string, int64_t> sizes;      // "WxH" -> count, as stored, of those read
  std::vector<std::string> first_bad;
  double images_per_second = 0;   // through the loader's own decoding, all workers
  std::string format;             // what the data was taken for
  std::vector<LeftOut> left_out;  // what is no sample
  std::string identity, provenance;
};

// Reads up to `limit` samples (0: all) evenly spread, on config.workers threads; shows how far it is. Errors: as
// open_source.
Inspection inspect(const Source& source, const DataConfig& config, int64_t limit);

// A PNG of `rows` x `columns` samples, evenly spread, as the loader would give them (not flipped); of latents three
// channels are shown. Bad samples are left out. Errors: UsageError for no rows or columns, Error when no sample can be
// read.
std::string contact_sheet(const Source& source, const DataConfig& config, int64_t rows, int64_t columns);

}  // namespace gigacat::data
