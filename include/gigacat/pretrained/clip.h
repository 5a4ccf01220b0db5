// CLIP: text and image towers that end in one space. Source: github.com/openai/CLIP model.py, Hugging Face CLIPModel,
// github.com/mlfoundations/open_clip.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <optional>
#include <vector>

#include "gigacat/pretrained/layers.h"
#include "gigacat/weights/weights.h"

namespace gigacat::pretrained {

struct ClipTower {
  int64_t width = 0, depth = 0, heads = 0, hidden = 0;  // depth 0: the file has no such tower
};

struct ClipConfig {
  ClipTower text, image;
  int64_t context = 77, vocabulary = 49408;  // tokens
  int64_t size = 224, patch = 32;            // px
  int64_t embedding = 512;                   // of both towers, 0: without projection
  bool quick_gelu = true;                    // x * sigmoid(1.702 x); else by the error function

  // Read off names (load_clip's) and shapes. Heads are those of the released sizes: 64 wide, but 16 for image towers of
  // 1280 and more. quick_gelu is OpenAI's: for image towers up to 1024. Errors: Error for another network's tensors.
  static ClipConfig deduce(const weights::Weights& weights);
};

// What shapes do not tell, for files that are none of the released sizes.
struct ClipOverrides {
  std::optional<int64_t> text_heads, image_heads;
  std::optional<bool> quick_gelu;
};

struct ClipOutput {
  at::Tensor hidden;       // [B, T, D]: text after the final norm, images before the post norm, class token first
  at::Tensor penultimate;  // [B, T, D], before the last block, no norm
  at::Tensor pooled;       // [B, D]: text at its end token, images' class token after the post norm
  at::Tensor embedding;    // [B, E], projected, not normalised
};

namespace clip_parts {
class Tower;
}  // namespace clip_parts

// A text and an image tower, or one of them. B images or texts, T tokens, D width, E embedding.
class ClipImpl : public torch::nn::Module {
 public:
  explicit ClipImpl(const ClipConfig& config);
  const ClipConfig& config() const { return config_; }
  // Token ids [B, T] as Tokenizer makes them; the end token is the first place of the largest id.
  ClipOutput text(const at::Tensor& ids);
  // Images [B, 3, S, S] with S = config().size, normalised by clip_normalize.
  ClipOutput image(const at::Tensor& images);
  // The same, and the tokens [B, T, D] behind each of `blocks`, counted from 1, in `hidden`.
  ClipOutput image(const at::Tensor& images, const std::vector<int64_t>& blocks, std::vector<at::Tensor>& hidden);
  // exp(logit_scale), scalar: the factor on cosines.
  at::Tensor scale() const { return logit_scale_.exp(); }

 private:
  ClipConfig config_;
  at::Tensor token_table_, text_positions_, class_embedding_, image_positions_, logit_scale_;
  Conv2d patches_{nullptr};
  LayerNorm pre_norm_{nullptr}, post_norm_{nullptr}, final_norm_{nullptr};
  std::shared_ptr<clip_parts::Tower> text_tower_, image_tower_;
  Linear text_projection_{nullptr}, image_projection_{nullptr};
};
TORCH_MODULE(Clip);

// Hugging Face's names of OpenAI's or OpenCLIP's tensors, as views; Hugging Face's pass through.
weights::Weights clip_names(const weights::Weights& weights);
// Hugging Face's, OpenAI's or OpenCLIP's names. Errors: Error when the tensors do not fit.
Clip load_clip(const weights::Weights& weights, const weights::LoadOptions& options = {},
               const ClipOverrides& overrides = {});

// Images in [0, 1], [B, 3, H, W], minus CLIP's mean over its deviation: of one shape.
at::Tensor clip_normalize(const at::Tensor& images);

}  // namespace gigacat::pretrained
