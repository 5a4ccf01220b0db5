// GigaGAN's upsampler: an asymmetric U-Net from a small image, noise and perhaps a text to a large image.
// Source: GigaGAN (arXiv 2303.05511) section 3.6.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gigacat/models/gigagan/blocks.h"
#include "gigacat/models/gigagan/config.h"
#include "gigacat/models/gigagan/text.h"

namespace gigacat::models::gigagan {

// Letters: B batch, s and S side of the image before and after, n = log2(S / s) + down levels that double, Z and V
// widths of z and w.

// attention: units of self- and cross-attention by level from the middle on; levels beyond the list have none.
struct UpsamplerConfig : LayerConfig {
  int64_t z_dim, w_dim, mapping_layers, channel_base, channel_max, down, blocks, bank_down, bank_up;
  double mapping_lr;
  std::vector<int64_t> attention;
  bool residual;
  void bind(config::Binder& b);
  // min(channel_base / resolution, channel_max).
  int64_t channels(int64_t resolution) const;
  int64_t units(int64_t level) const;
};

// Children text (of models of text), mapping, input, down0 ... (from the image's size on), mid, up0 ... (from the
// middle on), each level with block0, ..., self0, cross0, ..., and rgb in those that double. The image is the sum of
// all to-RGBs, each filtered up to S, and with `residual` of the bicubically enlarged input.
class UpsamplerImpl : public torch::nn::Module {
 public:
  // side: s that the network is trained at; any multiple of cells() works. Errors: UsageError when side or scale is no
  // power of two, or the down path does not fit.
  UpsamplerImpl(const UpsamplerConfig& config, const std::optional<TextConfig>& text, int64_t side, int64_t scale,
                const nn::Init& init);

  // Empty for models without text.
  Text read(const Captions& captions);
  // z [B, Z] -> w [B, V].
  at::Tensor style(const at::Tensor& z, const Text& text) { return mapping_(z, text.global); }
  // x [B, 3, s, s] in [-1, 1], w [B, V] -> [B, 3, S, S], float32, not clamped.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& w, const Text& text);

  // What a side of the input must be a multiple of.
  int64_t cells() const { return int64_t{1} << config_.down; }
  // FLOPs of one sample (2 per multiply-add), and float32 bytes that its backward pass keeps.
  double flops() const;
  double activation_bytes() const;

 private:
  struct Level {
    int64_t resolution = 0;  // that it gives, where the network is trained
    std::vector<SynthesisBlock> block;
    std::vector<SelfAttention> self;
    std::vector<TextAttention> cross;
    nn::ModulatedLinear rgb{nullptr};
  };
  Level make_level(const std::string& name, const std::vector<int64_t>& widths, Resize first, int64_t bank,
                   int64_t units, const nn::Init& init);
  void begin_gently();
  at::Tensor attend(Level& level, int64_t unit, const at::Tensor& f, const at::Tensor& w, const Text& text);
  at::Tensor run(Level& level, size_t block, const at::Tensor& f, const at::Tensor& w, const Text& text);

  UpsamplerConfig config_;
  std::optional<TextConfig> text_config_;
  int64_t side_;
  TextLayers text_{nullptr};
  Mapping mapping_{nullptr};
  nn::EqualizedConv input_{nullptr};
  std::vector<Level> downs_, ups_;
  Level middle_;
  int64_t index_ = 0;  // of the block that runs, for activation checkpointing
};
TORCH_MODULE(Upsampler);

}  // namespace gigacat::models::gigagan
