// What the discriminators of GAT and CAT share: block, class embedding, logit and alignment heads.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/pimpl.h>

#include <utility>
#include <vector>

#include "gigacat/models/gat/config.h"
#include "gigacat/nn/transformer.h"

namespace gigacat::models::gat {

// N images in the batch, L predictions for each, T_k tokens of scale k, F feature width.
struct DiscriminatorOutput {
  at::Tensor logits;                      // [N, L]
  at::Tensor tokens;                      // [N, S, D] after the last block, prediction token first in each scale
  at::Tensor align_cls;                   // [n, L, F] alignment head on the prediction tokens; undefined without one
  std::vector<at::Tensor> align_spatial;  // per scale [n, T_k, F]
  std::vector<std::pair<int64_t, int64_t>> align_grids;  // rows and columns of those T_k tokens
};

// Transformer block: x += ls_attn * attention(norm1(x)); x += ls_mlp * mlp(norm2(x)). x [N, S, D].
class BlockImpl : public torch::nn::Module {
 public:
  BlockImpl(const DiscriminatorConfig& config, const nn::Init& init);
  at::Tensor forward(const at::Tensor& x, const nn::Rotary& rotary, const std::vector<int64_t>& parts);

 private:
  at::Tensor ls_attn_, ls_mlp_;
  nn::RmsNorm norm1_{nullptr}, norm2_{nullptr};
  nn::Attention attn_{nullptr};
  nn::SwiGlu mlp_{nullptr};
};
TORCH_MODULE(Block);

// e(y): labels [N] -> [N, cmap_dim]. Parameters embedding_table.weight, latent_embedder.{0,2}.*.
class ClassEmbeddingImpl : public nn::LabelTableImpl {
 public:
  ClassEmbeddingImpl(int64_t num_classes, int64_t width, const nn::Init& init);
  at::Tensor forward(const at::Tensor& labels);

 private:
  nn::Mapping latent_embedder_{nullptr};
};
TORCH_MODULE(ClassEmbedding);

// Projection of prediction tokens: norm "0", linear "1". tokens [N, L, D] -> [N, L, cmap_dim].
class LogitHeadImpl : public torch::nn::Module {
 public:
  LogitHeadImpl(int64_t hidden, int64_t width, const nn::Init& init);
  at::Tensor forward(const at::Tensor& tokens);

 private:
  nn::RmsNorm norm_{nullptr};
  nn::Linear linear_{nullptr};
};
TORCH_MODULE(LogitHead);

// Three linears "0", "2", "4" with SiLU between: tokens [..., D] -> [..., F].
class AlignHeadImpl : public torch::nn::Module {
 public:
  AlignHeadImpl(int64_t hidden, int64_t projector_dim, int64_t features, const nn::Init& init);
  at::Tensor forward(const at::Tensor& tokens);

 private:
  nn::Linear first_{nullptr}, second_{nullptr}, third_{nullptr};
};
TORCH_MODULE(AlignHead);

// Projection discrimination: sum over the width of head(tokens) * e(y). Labels may hold a divisor of N rows: they are
// repeated. tokens [N, L, D], labels [N / r] -> [N, L].
at::Tensor class_logits(LogitHead& head, ClassEmbedding& embedding, const at::Tensor& tokens, const at::Tensor& labels);

// FLOPs of `tokens` tokens through the blocks (attention within runs `parts`), and float32 bytes kept for backward.
double block_flops(const DiscriminatorConfig& config, const std::vector<int64_t>& parts);
double block_activation_bytes(const DiscriminatorConfig& config, int64_t tokens);

}  // namespace gigacat::models::gat
