#include "gigacat/models/gigagan/captions.h"

#include <ATen/Functions.h>

#include "gigacat/text/tokenizer.h"

namespace gigacat::models::gigagan {

void CaptionConfig::bind(config::Binder& b) {
  b.field("encoder", encoder, "embedded",
          "embedded: words are learned with the networks; or a frozen encoder whose features T reads",
          {.choices = {"embedded", "clip", "fake"}, .source = "GigaGAN section 3: CLIP"});
  b.field("tokenizer", tokenizer, "auto",
          "of the embedded encoder: words are hashed into `vocabulary` rows; bpe is CLIP's, with a row for each of its "
          "tokens; auto: bpe where clip_vocabulary is given",
          {.choices = {"auto", "words", "bpe"}});
  b.field("clip_weights", clip_weights, "", "safetensors file of CLIP, for text and losses: ViT-L/14 in the paper");
  b.field("clip_vocabulary", clip_vocabulary, "", "bpe_simple_vocab_16e6.txt or .txt.gz of CLIP's tokenizer");
  b.field("stored", stored, "",
          "folder that `data encode --text` made: what a frozen encoder says of the captions is read from it");
  b.field("dropout", dropout, 0.1, "share of captions that are left out, so that samples without a prompt can be drawn",
          {.min = 0, .max = 1, .source = "open"});
  b.field("prompts", prompts,
          {"red heart", "green heart", "blue heart", "yellow heart", "smiling face", "cat", "tree", "car"},
          "captions of the sample grids, cycled");
  layers.bind(b);
  b.check("tokenizer",
          [this] { return tokenizer == "bpe" && clip_vocabulary.empty() ? "bpe needs clip_vocabulary" : ""; });
  b.check("stored",
          [this] { return !stored.empty() && encoder == "embedded" ? "needs a frozen model.text.encoder" : ""; });
  b.check("prompts", [this] { return prompts.empty() ? "give at least one prompt" : ""; });
}

CaptionReader::CaptionReader(const CaptionConfig& config) : config_(config), layers_(config.layers) {
  if (config.encoder != "embedded") {
    const pretrained::TextImageSizes sizes = pretrained::text_image_sizes(config.spec(config.encoder));
    layers_.features = sizes.text_width;
    layers_.length = sizes.length;
  } else if (config.tokenizer != "words" && !config.clip_vocabulary.empty()) {
    tokenizer_ = std::make_unique<text::Tokenizer>(config.clip_vocabulary);
    layers_.vocabulary = tokenizer_->size();
  }
}

CaptionReader::~CaptionReader() = default;

Captions CaptionReader::read(const std::vector<std::string>& captions, at::Device device) {
  if (tokenizer_) {
    const at::Tensor ids = tokenizer_->tokens(captions, layers_.length);  // [B, L]
    return {ids.to(device), (ids == tokenizer_->end()).to(at::kInt).argmax(1).to(device)};
  }
  if (config_.encoder == "embedded") {
    const pretrained::TokenIds tokens = pretrained::word_ids(captions, layers_.length, layers_.vocabulary);
    return {tokens.ids.to(device), tokens.end.to(device)};
  }
  if (!encoder_) encoder_ = pretrained::make_text_image_encoder(config_.spec(config_.encoder), device);
  const auto read = encoder_->read(captions);
  return {read.tokens, read.end};
}

std::vector<std::string> CaptionReader::dropped(std::vector<std::string> captions, const nn::RandomDraws& draws) const {
  if (config_.dropout == 0) return captions;
  const at::Tensor drop = draws.chance("caption.drop", config_.dropout).to(at::kCPU);  // [B]
  for (size_t i = 0; i < captions.size(); ++i)
    if (drop[static_cast<int64_t>(i)].item<float>() > 0) captions[i].clear();
  return captions;
}

}  // namespace gigacat::models::gigagan
