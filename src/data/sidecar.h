// Labels and captions in files of their own: dataset.json, text or JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/names.h"
#include "gigacat/data/config.h"

namespace gigacat::data {

// Largest encoded sample that is read.
inline constexpr uint64_t kMostSampleBytes = 256ull << 20;

// Labels of `names` from StyleGAN's {"labels": [[name, label], ...]} or {"labels": null}; names not listed get -1.
// Empty for null. `where` stands for the file in errors. Errors: Error for text that is not of this form.
std::vector<int32_t> parse_dataset_json(std::string_view text, const std::string& where, const NameList& names);

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
