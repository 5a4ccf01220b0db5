// GigaGAN's discriminator: multi-scale input and output, one trunk for all levels of the pyramid.
// Source: GigaGAN (arXiv 2303.05511) section 3.4.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <string>
#include <vector>

#include "gigacat/models/gigagan/blocks.h"
#include "gigacat/models/gigagan/config.h"
#include "gigacat/models/gigagan/text.h"

namespace gigacat::models::gigagan {

// Letters: N images, L levels of the pyramid (0 the finest), scales j = 1 .. L of the trunk, D text width.

// D_ij: the prediction on level i at scale j, i < j.
struct Prediction {
  int64_t level, scale;
  at::Tensor logits;  // [N, 1, r_j, r_j], float32
};

// The (i, j) that exist, level by level: L (L + 1) / 2 of them, or (0, L) alone.
std::vector<std::pair<int64_t, int64_t>> prediction_pairs(int64_t levels, bool multi_scale);

// The features of scale j of every level that reaches it: [levels * N, C, r_j, r_j], level 0 first.
struct TrunkFeatures {
  std::vector<at::Tensor> scales;
  int64_t images = 0;  // N
};

// Children text, rgb0, rgb1, ... (from-RGB of a level), s1, s2, ... (stages of the trunk), head1, head2, ... and, where
// frozen features are judged too, vision0, vision1, ...
class DiscriminatorImpl : public torch::nn::Module {
 public:
  // `vision`: channels of each frozen layer that is judged; empty: none. Errors: as GeneratorImpl.
  DiscriminatorImpl(const DiscriminatorConfig& config, const TextConfig& text, const ImageShape& shape,
                    const std::vector<int64_t>& vision, const nn::Init& init);

  // t_D [B, D].
  at::Tensor read(const Captions& captions) { return text_(captions).global; }
  // Levels [N, C, r_i, r_i], finest first. `parts`: equal runs of the batch (real, fake) that are kept apart where
  // samples of a batch are compared.
  TrunkFeatures features(const std::vector<at::Tensor>& pyramid, int64_t parts);
  // Predictions for text t [N, D], in the order of prediction_pairs.
  std::vector<Prediction> discriminate(const TrunkFeatures& features, const at::Tensor& t);
  // Predictions on frozen features, one per layer: [N, 1, h, w].
  std::vector<at::Tensor> discriminate_vision(const std::vector<at::Tensor>& features, const at::Tensor& t);

  double flops() const;             // of one image's pyramid and one text
  double activation_bytes() const;  // float32, kept for backward, of one image's pyramid

 private:
  struct Stage {
    int64_t resolution = 0;  // that it reads
    std::vector<TrunkBlock> blocks;
    SelfAttention attention{nullptr};
    nn::EqualizedConv conv{nullptr};  // the last stage's
    nn::EqualizedLinear dense{nullptr};
  };
  Stage make_stage(size_t place, const nn::Init& init);
  at::Tensor run_stage(size_t place, const at::Tensor& f, int64_t parts);
  AttentionSizes attention_sizes(int64_t resolution) const;
  bool attends(int64_t resolution) const;
  int64_t scale_channels(size_t place) const;  // of what stage `place` gives

  DiscriminatorConfig config_;
  TextConfig text_config_;
  int64_t image_channels_;
  std::vector<int64_t> resolutions_;  // finest first
  TextLayers text_{nullptr};
  std::vector<nn::EqualizedConv> from_rgb_;
  std::vector<Stage> stages_;
  std::vector<PredictionHead> heads_;  // by scale; empty holders where no prediction is made
  std::vector<VisionHead> vision_;
};
TORCH_MODULE(Discriminator);

// Levels of real images as the discriminator takes them, finest first: each half of the one before, filtered. x [N, C,
// H, W].
std::vector<at::Tensor> image_pyramid(const at::Tensor& x, int64_t levels);

}  // namespace gigacat::models::gigagan
