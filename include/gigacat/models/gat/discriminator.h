// GAT's discriminator: the K images concatenated on channels, patch tokens and one class token, one logit.
// Source: arXiv 2509.24935, section 3; tensor names as in the official code.
#pragma once

#include "gigacat/models/gat/discriminator_parts.h"

namespace gigacat::models::gat {

class DiscriminatorImpl : public torch::nn::Module {
 public:
  // `features`: width F of the alignment features; 0: no alignment head. Errors: UsageError when the image is not
  // divisible by the patch.
  DiscriminatorImpl(const DiscriminatorConfig& config, const ImageShape& shape, int64_t stages, int64_t features,
                    const nn::Init& init);
  // images [K, N, C, H, W], labels [N / r] -> logits [N, 1]; the alignment head runs on the first `aligned` images.
  DiscriminatorOutput forward(const at::Tensor& images, const at::Tensor& labels, int64_t aligned = 0);
  // e(y) of labels [B]: [B, cmap_dim].
  at::Tensor embed(const at::Tensor& labels) { return y_embedder_(labels); }

  double flops() const;             // of one image
  double activation_bytes() const;  // float32, kept for backward, of one image

 private:
  DiscriminatorConfig config_;
  int64_t rows_, columns_;
  nn::Rotary rotary_;
  at::Tensor cls_token_, pos_embed_;  // [1, 1, D], [1, T, D]
  nn::PatchEmbed x_embedder_{nullptr};
  ClassEmbedding y_embedder_{nullptr};
  torch::nn::ModuleList blocks_;
  LogitHead final_layer_{nullptr};
  AlignHead proj_{nullptr};
};
TORCH_MODULE(Discriminator);

}  // namespace gigacat::models::gat
