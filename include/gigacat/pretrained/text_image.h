// A frozen pair of encoders of text and images in one space, as CLIP is.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace gigacat::pretrained {

// Letters: B samples, L tokens, F text width, E embedding width.
class TextImageEncoder {
 public:
  virtual ~TextImageEncoder() = default;

  struct Read {
    at::Tensor tokens;     // [B, L, F], of the layer that generators are conditioned on
    at::Tensor end;        // [B] int64, place of end-of-text
    at::Tensor embedding;  // [B, E], not normalised
  };
  // No gradient.
  virtual Read read(const std::vector<std::string>& captions) = 0;
  virtual int64_t text_width() const = 0;  // F
  virtual int64_t length() const = 0;      // L

  struct Seen {
    std::vector<at::Tensor> layers;  // [B, F_l, h, w] of some middle layers
    at::Tensor embedding;            // [B, E], not normalised
  };
  // Images in [-1, 1] of any size, [B, 3, H, W]; gradients reach them.
  virtual Seen look(const at::Tensor& images) = 0;
  virtual std::vector<int64_t> layer_widths() const = 0;  // F_l

  // Factor on cosines: the inverse of the temperature that the pair was trained with.
  virtual double scale() const = 0;
};

// Which encoder, and its files: "clip" needs both, "fake" (fixed random projections, for tests) none. `stored`: a
// folder of text features (text_store.h), which then stand for the encoder where they can.
struct TextImageSpec {
  std::string name, weights, vocabulary, stored;
};

// Errors: UsageError with the known names, and for files that are not given; Error when they cannot be read.
std::unique_ptr<TextImageEncoder> make_text_image_encoder(const TextImageSpec& spec, at::Device device);

// Sizes of one without making it; of "clip" without a file, those of ViT-L/14. Errors: as above.
struct TextImageSizes {
  int64_t text_width = 0, length = 0;
  std::vector<int64_t> layer_widths;
};
TextImageSizes text_image_sizes(const TextImageSpec& spec);

// The words tokenizer: needs no file. A caption's words (runs of letters, digits and bytes over 127, in lower case)
// become ids 1 + hash % (vocabulary - 1), end-of-text is 0 and so is the padding behind it. More than length - 1 words
// are cut.
struct TokenIds {
  at::Tensor ids;  // [B, length] int64
  at::Tensor end;  // [B] int64
};
TokenIds word_ids(const std::vector<std::string>& captions, int64_t length, int64_t vocabulary);

}  // namespace gigacat::pretrained
