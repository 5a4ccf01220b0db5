#include "gigacat/models/gat/discriminator_parts.h"

#include <ATen/Functions.h>

#include "gigacat/nn/fused.h"

namespace gigacat::models::gat {
namespace {

constexpr double kNormEps = 1e-6;
constexpr double kLayerScale = 0.1;

}  // namespace

BlockImpl::BlockImpl(const DiscriminatorConfig& c, const nn::Init& init) {
  ls_attn_ = register_parameter("ls_attn", at::full({c.hidden}, kLayerScale));
  ls_mlp_ = register_parameter("ls_mlp", at::full({c.hidden}, kLayerScale));
  norm1_ = register_module("norm1", nn::RmsNorm(c.hidden, kNormEps));
  attn_ = register_module("attn", nn::Attention(c.hidden, c.heads, c.qk_norm, init / "attn"));
  norm2_ = register_module("norm2", nn::RmsNorm(c.hidden, kNormEps));
  mlp_ = register_module("mlp", nn::SwiGlu(c.hidden, init / "mlp"));
}

at::Tensor BlockImpl::forward(const at::Tensor& x, const nn::Rotary& rotary, const std::vector<int64_t>& parts) {
  const at::Tensor y = nn::gated_residual(x, ls_attn_, attn_(norm1_(x), rotary, parts));
  return nn::gated_residual(y, ls_mlp_, mlp_(norm2_(y)));
}

ClassEmbeddingImpl::ClassEmbeddingImpl(int64_t num_classes, int64_t width, const nn::Init& init)
    : LabelTableImpl(num_classes, width, init) {
  latent_embedder_ = register_module("latent_embedder", nn::Mapping(width, width, init / "latent_embedder"));
}

at::Tensor ClassEmbeddingImpl::forward(const at::Tensor& labels) {
  return latent_embedder_(LabelTableImpl::forward(labels));
}

LogitHeadImpl::LogitHeadImpl(int64_t hidden, int64_t width, const nn::Init& init) {
  norm_ = register_module("0", nn::RmsNorm(hidden, kNormEps));
  linear_ = register_module("1", nn::Linear(hidden, width, init / "1"));
}

at::Tensor LogitHeadImpl::forward(const at::Tensor& tokens) { return linear_(norm_(tokens)); }

AlignHeadImpl::AlignHeadImpl(int64_t hidden, int64_t projector_dim, int64_t features, const nn::Init& init) {
  first_ = register_module("0", nn::Linear(hidden, projector_dim, init / "0"));
  second_ = register_module("2", nn::Linear(projector_dim, projector_dim, init / "2"));
  third_ = register_module("4", nn::Linear(projector_dim, features, init / "4"));
}

at::Tensor AlignHeadImpl::forward(const at::Tensor& tokens) {
  return third_(at::silu(second_(at::silu(first_(tokens)))));
}

at::Tensor class_logits(LogitHead& head, ClassEmbedding& embedding, const at::Tensor& tokens,
                        const at::Tensor& labels) {
  const at::Tensor e = embedding(labels).repeat({tokens.size(0) / labels.size(0), 1});  // [N, cmap_dim]
  return (head(tokens).to(at::kFloat) * e.to(at::kFloat).unsqueeze(1)).sum(-1);         // [N, L]
}

double block_flops(const DiscriminatorConfig& config, const std::vector<int64_t>& parts) {
  double sum = 0;
  for (const int64_t tokens : parts) sum += nn::block_flops(config.hidden, tokens);
  return static_cast<double>(config.depth) * sum;
}

double block_activation_bytes(const DiscriminatorConfig& config, int64_t tokens) {
  return static_cast<double>(config.depth) * nn::block_activation_bytes(config.hidden, tokens);
}

}  // namespace gigacat::models::gat
