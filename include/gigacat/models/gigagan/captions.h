// Captions as the text layers take them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/models/gigagan/text.h"
#include "gigacat/nn/random_draws.h"
#include "gigacat/pretrained/text_image.h"

namespace gigacat::text {
class Tokenizer;
}

namespace gigacat::models::gigagan {

// `model.text:`
struct CaptionConfig {
  std::string encoder, tokenizer, clip_weights, clip_vocabulary, stored;
  std::vector<std::string> prompts;
  double dropout;
  TextConfig layers{};
  void bind(config::Binder& b);
  // The encoder called `name` with the files that the config gives.
  pretrained::TextImageSpec spec(const std::string& name) const {
    return {name, clip_weights, clip_vocabulary, stored};
  }
};

// Turns captions into token ids or features of a frozen encoder.
class CaptionReader {
 public:
  // Opens the vocabulary. Errors: UsageError for an unknown encoder; Error for a file that is no vocabulary.
  explicit CaptionReader(const CaptionConfig& config);
  ~CaptionReader();
  // Sizes of the text layers, fitted to the frozen encoder or the vocabulary.
  const TextConfig& layers() const { return layers_; }
  // Captions [B] on `device`. The frozen encoder is loaded at the first call.
  Captions read(const std::vector<std::string>& captions, at::Device device);
  // The captions with a share of them, drawn under "caption.drop", made empty: what an unconditional sample reads.
  std::vector<std::string> dropped(std::vector<std::string> captions, const nn::RandomDraws& draws) const;

 private:
  const CaptionConfig& config_;
  TextConfig layers_;
  std::unique_ptr<pretrained::TextImageEncoder> encoder_;
  std::unique_ptr<text::Tokenizer> tokenizer_;  // of the embedded encoder, unless it hashes words
};

}  // namespace gigacat::models::gigagan
