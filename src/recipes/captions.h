// Captions of a batch as the text layers take them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/models/gigagan/text.h"
#include "gigacat/pretrained/text_image.h"
#include "gigacat/recipes/draws.h"
#include "gigacat/text/tokenizer.h"

namespace gigacat::recipes {

struct CaptionConfig {
  std::string encoder, tokenizer, clip_weights, clip_vocabulary, stored;
  std::vector<std::string> prompts;
  double dropout;
  models::gigagan::TextConfig layers{};
  void bind(config::Binder& b);
  // The encoder called `name` with the files that the config gives.
  pretrained::TextImageSpec spec(const std::string& name) const {
    return {name, clip_weights, clip_vocabulary, stored};
  }
};

class CaptionReader {
 public:
  explicit CaptionReader(CaptionConfig& config) : config_(config) {}
  // Fits the text layers' sizes to the frozen encoder or the vocabulary. Errors: UsageError for an unknown encoder;
  // Error for a file that is no vocabulary.
  void prepare();
  models::gigagan::Captions read(const std::vector<std::string>& captions, at::Device device);
  // A share of the captions, chosen by `purpose`, made empty: what an unconditional sample is told.
  std::vector<std::string> dropped(std::vector<std::string> captions, const Draws& draws) const;

 private:
  CaptionConfig& config_;
  std::unique_ptr<pretrained::TextImageEncoder> encoder_;
  std::unique_ptr<text::Tokenizer> tokenizer_;  // of the embedded encoder, unless it hashes words
};

}  // namespace gigacat::recipes
