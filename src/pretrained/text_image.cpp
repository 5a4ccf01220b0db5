#include "gigacat/pretrained/text_image.h"

#include <ATen/Functions.h>

#include <cctype>
#include <cmath>
#include <span>

#include "gigacat/core/error.h"
#include "gigacat/core/random.h"
#include "gigacat/pretrained/text_store.h"
#include "pretrained/clip_text_image.h"

namespace gigacat::pretrained {
namespace {

std::vector<std::string> words_of(const std::string& caption) {
  std::vector<std::string> words(1);
  for (const char c : caption) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 128 && !std::isalnum(byte)) {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += static_cast<char>(byte < 128 ? std::tolower(byte) : byte);
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// Fixed random projections: shapes of no real encoder, the interface of one.
class FakeTextImage : public TextImageEncoder {
 public:
  explicit FakeTextImage(at::Device device) : device_(device) {
    words_ = weight("words", {kVocabulary, kText});
    project_ = weight("project", {kText, kEmbedding});
    for (int64_t l = 0; l < kLayers; ++l)
      layers_.push_back(weight(cat("layer", l), {kWidth, l == 0 ? 3 : kWidth, 3, 3}) /
                        std::sqrt(9.0 * (l == 0 ? 3 : kWidth)));
  }

  Read read(const std::vector<std::string>& captions) override {
    at::NoGradGuard no_grad;
    const TokenIds tokens = word_ids(captions, kLength, kVocabulary);
    const at::Tensor rows = at::embedding(words_, tokens.ids.to(device_));  // [B, L, F]
    return {rows, tokens.end.to(device_), at::matmul(rows.mean(1), project_)};
  }
  int64_t text_width() const override { return kText; }
  int64_t length() const override { return kLength; }

  Seen look(const at::Tensor& images) override {
    Seen seen;
    at::Tensor x = at::adaptive_avg_pool2d(images, {kSide, kSide});
    for (const at::Tensor& layer : layers_) {
      x = at::tanh(at::conv2d(x, layer, {}, 1, 1));
      seen.layers.push_back(x);
    }
    seen.embedding = x.mean({2, 3});
    return seen;
  }
  std::vector<int64_t> layer_widths() const override { return std::vector<int64_t>(kLayers, kWidth); }
  double scale() const override { return 100; }

  static constexpr int64_t kText = 24, kLength = 16, kLayers = 2, kWidth = 16;

 private:
  static constexpr int64_t kVocabulary = 512, kEmbedding = kWidth, kSide = 8;

  at::Tensor weight(const std::string& name, at::IntArrayRef shape) const {
    at::Tensor values = at::empty(shape, at::kFloat);
    const std::span<float> out(values.data_ptr<float>(), static_cast<size_t>(values.numel()));
    Stream(0, "pretrained.fake_text_image." + name).normal(0, 0, out);
    return values.to(device_);
  }
  at::Device device_;
  at::Tensor words_, project_;
  std::vector<at::Tensor> layers_;
};

[[noreturn]] void unknown(const std::string& name) {
  fail<UsageError>("no encoder of text and images is called \"", name, "\"; known: clip, fake");
}

}  // namespace

std::unique_ptr<TextImageEncoder> make_text_image_encoder(const TextImageSpec& spec, at::Device device) {
  if (!spec.stored.empty()) return make_stored_text_image(spec, device);
  if (spec.name == "clip") return make_clip_text_image(spec, device);
  if (spec.name == "fake") return std::make_unique<FakeTextImage>(device);
  unknown(spec.name);
}

TextImageSizes text_image_sizes(const TextImageSpec& spec) {
  if (!spec.stored.empty()) return text_store_facts(spec.stored).sizes;
  if (spec.name == "clip") return clip_text_image_sizes(spec);
  if (spec.name != "fake") unknown(spec.name);
  return {FakeTextImage::kText, FakeTextImage::kLength,
          std::vector<int64_t>(FakeTextImage::kLayers, FakeTextImage::kWidth)};
}

TokenIds word_ids(const std::vector<std::string>& captions, int64_t length, int64_t vocabulary) {
  const int64_t b = std::ssize(captions);
  TokenIds out{at::zeros({b, length}, at::kLong), at::zeros({b}, at::kLong)};
  for (int64_t i = 0; i < b; ++i) {
    int64_t* const row = out.ids.data_ptr<int64_t>() + i * length;
    int64_t place = 0;
    for (const std::string& word : words_of(captions[static_cast<size_t>(i)])) {
      if (place == length - 1) break;
      row[place++] = 1 + static_cast<int64_t>(fnv1a64(word) % static_cast<uint64_t>(vocabulary - 1));
    }
    out.end.data_ptr<int64_t>()[i] = place;
  }
  return out;
}

}  // namespace gigacat::pretrained
