// Labels and captions in files of their own: dataset.json, text or JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "gigacat/data/config.h"
#include "gigacat/data/source.h"

namespace gigacat::data {

// Largest encoded sample that is read.
inline constexpr uint64_t kMostSampleBytes = 256ull << 20;

// Labels of `names` from StyleGAN's {"labels": [[name, label], ...]} or {"labels": null}; names not listed get -1.
// Empty for null. The file's names may have backslashes, "./" or "/" at the front; where none of them is the name of a
// sample, the folder that all of them share is exchanged for the one that all samples share. Entries for files that are
// not there go to `left_out`. `where` stands for the file in errors. Errors: Error for text that is not of this form,
// for a name with two labels, and when not one entry names a sample.
std::vector<int32_t> parse_dataset_json(std::string_view text, const std::string& where,
                                        const std::vector<std::string>& names, std::vector<LeftOut>& left_out);

// Where captions come from.
struct CaptionRule {
  bool wanted = false;
  std::string column;  // key of .json; empty: the whole .txt
  explicit CaptionRule(const DataConfig& config) : wanted(config.captions), column(config.caption_column) {}
  CaptionRule() = default;
  std::string_view ending() const { return column.empty() ? ".txt" : ".json"; }
  // Caption from the text of that file. Errors: Error naming `where`: no JSON, no such key, no text.
  std::string extract(std::string_view text, const std::string& where) const;
};

// A whole number, or an Error that names `where`.
int32_t parse_label(std::string_view text, const std::string& where);

}  // namespace gigacat::data
