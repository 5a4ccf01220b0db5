// CAT's discriminator: every scale's image at its own token resolution, one prediction for each, all weights shared.
// Source: "Cross-scale Aligned Supervision for Training GANs" (arXiv 2605.26449); tensor names as GAT's discriminator.
#pragma once

#include "gigacat/models/gat/discriminator_parts.h"

namespace gigacat::models::cat {

using gat::DiscriminatorConfig;
using gat::DiscriminatorOutput;

struct ScaleConfig {
  std::vector<int64_t> scales;  // token grid rows r_k of each stage, coarse first; empty: halved from H/p
  std::string resize;           // "area" or "bilinear"
  bool mix;                     // scales see each other: the paper's scale-aggregated discriminator
  void bind(config::Binder& b);
};

// Stage k's image [.., C, H, W] resized to rows x columns pixels; an image of that size is returned as it is.
// x [N, C, H, W] -> [N, C, height, width].
at::Tensor resize_stage(const at::Tensor& x, int64_t height, int64_t width, const std::string& mode);

// Token grids of K stages for an image of rows x columns tokens. Errors: UsageError when `scales` has not K entries or
// does not fit.
std::vector<std::pair<int64_t, int64_t>> scale_grids(const ScaleConfig& config, int64_t stages, int64_t rows,
                                                     int64_t columns);

// The stage images [K, N, C, H, W] as the discriminator sees them: per scale [N, C, r_k p, c_k p].
std::vector<at::Tensor> scaled_stages(const at::Tensor& images, const std::vector<std::pair<int64_t, int64_t>>& grids,
                                      int64_t patch, const std::string& mode);

// Letters: K stages, N images, C channels, H x W image, T_k tokens of scale k, S tokens of all scales.
class DiscriminatorImpl : public torch::nn::Module {
 public:
  // As gat::DiscriminatorImpl.
  DiscriminatorImpl(const DiscriminatorConfig& config, const ScaleConfig& scales, const ImageShape& shape,
                    int64_t stages, int64_t features, const nn::Init& init);
  // images [K, N, C, H, W], labels [N / r] -> logits [N, K]; the alignment head runs on the first `aligned` images,
  // on all scales or (`last_scale_only`) on the finest alone.
  DiscriminatorOutput forward(const at::Tensor& images, const at::Tensor& labels, int64_t aligned = 0,
                              bool last_scale_only = false);
  // scaled_stages() at this network's own scales.
  std::vector<at::Tensor> scaled(const at::Tensor& images) const {
    return scaled_stages(images, grids_, config_.patch, scale_config_.resize);
  }

  double flops() const;             // of one image
  double activation_bytes() const;  // float32, kept for backward, of one image

 private:
  DiscriminatorConfig config_;
  ScaleConfig scale_config_;
  std::vector<std::pair<int64_t, int64_t>> grids_;
  std::vector<int64_t> parts_;            // tokens of each scale, its prediction token included
  std::vector<int64_t> attention_parts_;  // runs of tokens that see only themselves; empty: one run
  nn::Rotary rotary_;
  at::Tensor cls_token_;               // [1, K, D]
  std::vector<at::Tensor> pos_embed_;  // per scale [1, T_k, D]
  nn::PatchEmbed x_embedder_{nullptr};
  gat::ClassEmbedding y_embedder_{nullptr};
  torch::nn::ModuleList blocks_;
  gat::LogitHead final_layer_{nullptr};
  gat::AlignHead proj_{nullptr};
};
TORCH_MODULE(Discriminator);

}  // namespace gigacat::models::cat
