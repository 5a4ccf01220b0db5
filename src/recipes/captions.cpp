#include "recipes/captions.h"

#include <ATen/Functions.h>

namespace gigacat::recipes {

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

void CaptionReader::prepare() {
  if (config_.encoder == "embedded") {
    if (config_.tokenizer == "words" || config_.clip_vocabulary.empty()) return;
    tokenizer_ = std::make_unique<text::Tokenizer>(config_.clip_vocabulary);
    config_.layers.vocabulary = tokenizer_->size();
    return;
  }
  const pretrained::TextImageSizes sizes = pretrained::text_image_sizes(config_.spec(config_.encoder));
  config_.layers.features = sizes.text_width;
  config_.layers.length = sizes.length;
}

models::gigagan::Captions CaptionReader::read(const std::vector<std::string>& captions, at::Device device) {
  if (tokenizer_) {
    const at::Tensor ids = tokenizer_->tokens(captions, config_.layers.length);  // [B, L]
    return {ids.to(device), (ids == tokenizer_->end()).to(at::kInt).argmax(1).to(device)};
  }
  if (config_.encoder == "embedded") {
    const pretrained::TokenIds tokens =
        pretrained::word_ids(captions, config_.layers.length, config_.layers.vocabulary);
    return {tokens.ids.to(device), tokens.end.to(device)};
  }
  if (!encoder_) encoder_ = pretrained::make_text_image_encoder(config_.spec(config_.encoder), device);
  const auto read = encoder_->read(captions);
  return {read.tokens, read.end};
}

std::vector<std::string> CaptionReader::dropped(std::vector<std::string> captions, const Draws& draws) const {
  if (config_.dropout == 0) return captions;
  const at::Tensor drop = draws.chance("caption.drop", config_.dropout).to(at::kCPU);  // [B]
  for (size_t i = 0; i < captions.size(); ++i)
    if (drop[static_cast<int64_t>(i)].item<float>() > 0) captions[i].clear();
  return captions;
}

}  // namespace gigacat::recipes
