#include "pretrained/clip_text_image.h"

#include <ATen/Functions.h>

#include "gigacat/core/error.h"
#include "gigacat/pretrained/clip.h"
#include "gigacat/text/tokenizer.h"

namespace gigacat::pretrained {
namespace {

constexpr int64_t kLayers = 4;  // of the image tower that are judged, evenly spaced

// Blocks of a tower of `depth` whose outputs are judged, counted from 1.
std::vector<int64_t> judged(int64_t depth) {
  std::vector<int64_t> blocks;
  for (int64_t i = 1; i <= kLayers; ++i) blocks.push_back(depth * i / kLayers);
  return blocks;
}

class ClipTextImage : public TextImageEncoder {
 public:
  ClipTextImage(const TextImageSpec& spec, at::Device device)
      : clip_(load_clip(weights::read_weights(spec.weights), weights::LoadOptions{.device = device})),
        tokenizer_(spec.vocabulary) {
    clip_->eval();
    for (at::Tensor& parameter : clip_->parameters()) parameter.set_requires_grad(false);
    scale_ = clip_->scale().item<double>();
  }

  Read read(const std::vector<std::string>& captions) override {
    at::NoGradGuard no_grad;
    const at::Tensor ids = tokenizer_.tokens(captions, clip_->config().context);  // [B, L]
    const ClipOutput out = clip_->text(ids);
    return {out.penultimate, ids.argmax(1).to(out.penultimate.device()), out.embedding};
  }
  int64_t text_width() const override { return clip_->config().text.width; }
  int64_t length() const override { return clip_->config().context; }

  Seen look(const at::Tensor& images) override {
    const int64_t size = clip_->config().size, side = size / clip_->config().patch;
    const at::Tensor pixels =
        at::upsample_bicubic2d(images, {size, size}, /*align_corners=*/false, std::nullopt, std::nullopt);
    std::vector<at::Tensor> hidden;
    const ClipOutput out = clip_->image(clip_normalize((pixels + 1) / 2), judged(clip_->config().image.depth), hidden);
    Seen seen{.layers = {}, .embedding = out.embedding};
    for (const at::Tensor& tokens : hidden)  // [B, 1 + N, D], class token first
      seen.layers.push_back(tokens.narrow(1, 1, side * side).transpose(1, 2).unflatten(2, {side, side}));
    return seen;
  }
  std::vector<int64_t> layer_widths() const override {
    return std::vector<int64_t>(kLayers, clip_->config().image.width);
  }
  double scale() const override { return scale_; }

 private:
  Clip clip_;
  text::Tokenizer tokenizer_;
  double scale_ = 1;
};

}  // namespace

std::unique_ptr<TextImageEncoder> make_clip_text_image(const TextImageSpec& spec, at::Device device) {
  if (spec.weights.empty() || spec.vocabulary.empty())
    fail<UsageError>(
        "the encoder clip needs two files: its weights (a .safetensors of CLIP) and the vocabulary of its "
        "tokenizer (bpe_simple_vocab_16e6.txt.gz): set model.text.clip_weights and "
        "model.text.clip_vocabulary");
  return std::make_unique<ClipTextImage>(spec, device);
}

TextImageSizes clip_text_image_sizes(const TextImageSpec& spec) {
  if (spec.weights.empty()) return {768, 77, std::vector<int64_t>(kLayers, 1024)};
  const ClipConfig config = ClipConfig::deduce(clip_names(weights::read_weights(spec.weights)));
  return {config.text.width, config.context, std::vector<int64_t>(kLayers, config.image.width)};
}

}  // namespace gigacat::pretrained
