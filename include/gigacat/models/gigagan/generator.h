// GigaGAN's generator: text and noise to a pyramid of images. Source: GigaGAN (arXiv 2303.05511) sections 3.1 to 3.3.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <string>
#include <utility>
#include <vector>

#include "gigacat/models/gigagan/blocks.h"
#include "gigacat/models/gigagan/config.h"
#include "gigacat/models/gigagan/text.h"
#include "gigacat/models/style.h"

namespace gigacat::models::gigagan {

// The image of a resolution: to-RGB of the features, added to the one before, upsampled; undefined: none before.
// rgb [B, 3, H, W], before [B, 3, H / 2, W / 2].
at::Tensor add_level(const at::Tensor& rgb, const at::Tensor& before);

// The running mean of styles after a batch: mean(w) + beta * (before - mean(w)). before [V], w [N, V].
at::Tensor moved_mean(const at::Tensor& before, const at::Tensor& w, double beta);

// A layer is a residual block with the attention and the to-RGB behind it. Children text, mapping, b4, b8, ... by
// resolution, each with block0, block1, ..., self0, cross0, ..., rgb; parameter b4's constant; buffer w_avg.
class GeneratorImpl : public torch::nn::Module {
 public:
  // Errors: UsageError when the image's size or the config's lists do not fit.
  GeneratorImpl(const GeneratorConfig& config, const TextConfig& text, const ImageShape& shape, const nn::Init& init);

  Text read(const Captions& captions) { return text_(captions); }
  // z [B, Z] -> w [B, V].
  at::Tensor style(const at::Tensor& z, const Text& text) { return mapping_(z, text.global); }
  // Images of every resolution, coarse first: L tensors [B, C, r, r], float32.
  std::vector<at::Tensor> synthesize(const Style& style);
  // Root mean square of the features behind every layer, for the monitor: "layer 0" and so on.
  std::vector<std::pair<std::string, double>> activation_scales(const Style& style);

  // Moves w_avg toward the mean of w [N, V].
  void update_style_mean(const at::Tensor& w);

  int64_t layers() const { return layers_; }
  // FLOPs of one sample (2 per multiply-add), and float32 bytes that its backward pass keeps.
  double flops() const;
  double activation_bytes() const;

  at::Tensor w_avg;  // [V]

 private:
  struct Level {
    int64_t resolution = 0, blocks = 0, units = 0;
    std::shared_ptr<torch::nn::Module> owner;
    std::vector<SynthesisBlock> block;
    std::vector<SelfAttention> self;
    std::vector<TextAttention> cross;
    nn::ModulatedLinear rgb{nullptr};
  };
  Level make_level(size_t place, int64_t in, const nn::Init& init);
  at::Tensor layer(const Level& level, int64_t block, int64_t index, const at::Tensor& f, const Style& style);

  GeneratorConfig config_;
  TextConfig text_config_;
  ImageShape shape_;
  int64_t layers_ = 0;
  at::Tensor constant_;  // [1, C, 4, 4]
  TextLayers text_{nullptr};
  Mapping mapping_{nullptr};
  std::vector<Level> levels_;
  std::vector<std::pair<std::string, double>>* scales_ = nullptr;
};
TORCH_MODULE(Generator);

}  // namespace gigacat::models::gigagan
