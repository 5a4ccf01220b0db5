#include "gigacat/models/gigagan/blocks.h"

#include <ATen/Functions.h>

#include "gigacat/nn/autocast.h"
#include "gigacat/nn/fused.h"
#include "gigacat/nn/resample.h"

// Letters as in the header.
namespace gigacat::models::gigagan {
namespace {

constexpr double kNormEps = 1e-6;

}  // namespace

at::Tensor to_tokens(const at::Tensor& features) { return features.flatten(2).transpose(1, 2); }

at::Tensor to_features(const at::Tensor& tokens, int64_t height, int64_t width) {
  return tokens.transpose(1, 2).unflatten(2, {height, width});
}

SelfAttentionImpl::SelfAttentionImpl(const AttentionSizes& sizes, int64_t w_dim, const nn::Init& init) : sizes_(sizes) {
  const int64_t c = sizes.channels;
  if (w_dim > 0)
    modulation_ = register_module("modulation", nn::EqualizedLinear(w_dim, c, init / "modulation"));
  else
    norm_ = register_module("norm", nn::RmsNorm(c, kNormEps));
  attend_ = register_module("attend", nn::L2SelfAttention(c, c, sizes.heads, sizes.tied, init / "attend"));
  ff_norm_ = register_module("ff_norm", nn::RmsNorm(c, kNormEps));
  up_ = register_module("up", nn::EqualizedLinear(c, sizes.feed_forward * c, init / "up"));
  down_ = register_module("down", nn::EqualizedLinear(sizes.feed_forward * c, c, init / "down"));
}

at::Tensor SelfAttentionImpl::forward(const at::Tensor& x, const at::Tensor& w) {
  const at::Tensor near = norm_.is_empty() ? nn::rms_norm_modulate(x, modulation_(w), kNormEps) : norm_(x);
  const at::Tensor y = x + sizes_.gain * attend_(near);
  return y + sizes_.gain * down_(nn::leaky_relu(up_(ff_norm_(y))));
}

TextAttentionImpl::TextAttentionImpl(int64_t channels, int64_t text_width, double gain,
                                     const nn::CrossAttentionOptions& options, const nn::Init& init)
    : gain_(gain) {
  norm_ = register_module("norm", nn::RmsNorm(channels, kNormEps));
  attend_ = register_module("attend", nn::CrossAttention(channels, text_width, options, init / "attend"));
}

at::Tensor TextAttentionImpl::forward(const at::Tensor& x, const Text& text) {
  return x + gain_ * attend_(norm_(x), text.local, text.mask);
}

SynthesisBlockImpl::SynthesisBlockImpl(int64_t in, int64_t out, Resize resize, int64_t bank, int64_t w_dim, double gain,
                                       const nn::Init& init)
    : resize_(resize), gain_(gain) {
  const nn::ModulatedOptions options{.up = resize == Resize::up ? 2 : 1, .down = resize == Resize::down ? 2 : 1};
  conv0_ = register_module("conv0", nn::AdaptiveConv(in, out, 3, bank, w_dim, init / "conv0", options));
  conv1_ = register_module("conv1", nn::AdaptiveConv(out, out, 3, bank, w_dim, init / "conv1"));
  if (in != out)
    skip_ = register_module("skip", nn::EqualizedConv(in, out, 1, init / "skip", /*down=*/1, /*with_bias=*/false));
}

at::Tensor SynthesisBlockImpl::forward(const at::Tensor& f, const at::Tensor& w) {
  const at::Tensor y = conv1_->activated(conv0_->activated(f, w), w);
  // The 1 x 1 runs at the smaller size, where it costs a quarter.
  const at::Tensor from = resize_ == Resize::down ? nn::downsample2d(f) : f;
  const at::Tensor narrow = skip_.is_empty() ? from : skip_(from);
  return (resize_ == Resize::up ? nn::upsample2d(narrow) : narrow) + gain_ * y;
}

TrunkBlockImpl::TrunkBlockImpl(int64_t in, int64_t out, bool down, double gain, const nn::Init& init)
    : down_(down), gain_(gain) {
  conv0_ = register_module("conv0", nn::EqualizedConv(in, in, 3, init / "conv0"));
  conv1_ = register_module("conv1", nn::EqualizedConv(in, out, 3, init / "conv1", down ? 2 : 1));
  if (in != out)
    skip_ = register_module("skip", nn::EqualizedConv(in, out, 1, init / "skip", /*down=*/1, /*with_bias=*/false));
}

at::Tensor TrunkBlockImpl::forward(const at::Tensor& f) {
  const at::Tensor y = conv1_->activated(conv0_->activated(f));
  const at::Tensor small = down_ ? nn::downsample2d(f) : f;
  return (skip_.is_empty() ? small : skip_(small)) + gain_ * y;
}

PredictionHeadImpl::PredictionHeadImpl(int64_t channels, int64_t text_width, int64_t layers, const nn::Init& init) {
  psi = register_module("psi", torch::nn::ModuleList());
  for (int64_t i = 0; i < layers; ++i) {
    const bool last = i + 1 == layers;
    psi->push_back(nn::ModulatedLinear(channels, last ? 1 : channels, text_width, !last, init / "psi" / i));
  }
  uncond = register_module("uncond", nn::EqualizedConv(channels, 1, 1, init / "uncond"));
}

at::Tensor PredictionHeadImpl::forward(const at::Tensor& f, const at::Tensor& t) {
  at::Tensor y = f;
  for (size_t i = 0; i < psi->size(); ++i) {
    y = psi[i]->as<nn::ModulatedLinear>()->forward(y, t);
    if (i + 1 < psi->size()) y = nn::leaky_relu(y);
  }
  return (y + uncond(f)).to(t.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
}

VisionHeadImpl::VisionHeadImpl(int64_t channels, int64_t hidden, int64_t text_width, const nn::Init& init) {
  conv0_ = register_module("conv0", nn::EqualizedConv(channels, hidden, 3, init / "conv0"));
  conv1_ = register_module("conv1", nn::EqualizedConv(hidden, hidden, 3, init / "conv1"));
  cond_ = register_module("cond", nn::ModulatedLinear(hidden, 1, text_width, false, init / "cond"));
  uncond_ = register_module("uncond", nn::EqualizedConv(hidden, 1, 1, init / "uncond"));
}

at::Tensor VisionHeadImpl::forward(const at::Tensor& features, const at::Tensor& t) {
  const at::Tensor f = conv1_->activated(conv0_->activated(features));
  return cond_(f, t) + uncond_(f);
}

double self_attention_flops(const AttentionSizes& sizes, int64_t tokens) {
  const double c = static_cast<double>(sizes.channels), t = static_cast<double>(tokens);
  const double projections = sizes.tied ? 3 : 4, ff = 2 * static_cast<double>(sizes.feed_forward);
  return 2 * t * c * c * (projections + ff) + 4 * t * t * c;
}

double text_attention_flops(int64_t channels, int64_t tokens, int64_t length, int64_t text_width) {
  const double c = static_cast<double>(channels), t = static_cast<double>(tokens), l = static_cast<double>(length);
  return 4 * t * c * c + 4 * l * c * static_cast<double>(text_width) + 4 * t * l * c;
}

}  // namespace gigacat::models::gigagan
