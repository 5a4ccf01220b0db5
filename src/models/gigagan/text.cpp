#include "gigacat/models/gigagan/text.h"

#include <ATen/Functions.h>

#include <numbers>

#include "gigacat/core/error.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/nn/l2_attention.h"
#include "gigacat/nn/linear.h"

// Letters as in the header; h heads.
namespace gigacat::models::gigagan {
namespace {

constexpr double kNormEps = 1e-5;
constexpr int64_t kFeedForward = 4;

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const nn::FloatIsland island(x);
  return at::layer_norm(x.to(weight.scalar_type()), {x.size(-1)}, weight, bias, kNormEps);
}

class TextLayerImpl : public torch::nn::Module {
 public:
  TextLayerImpl(int64_t width, int64_t heads, const nn::Init& init) : heads_(heads) {
    const auto linear = [&](const char* name, int64_t in, int64_t out) {
      return register_module(name, nn::EqualizedLinear(in, out, init / name));
    };
    q_ = linear("q", width, width);
    k_ = linear("k", width, width);
    v_ = linear("v", width, width);
    out_ = linear("out", width, width);
    up_ = linear("up", width, kFeedForward * width);
    down_ = linear("down", kFeedForward * width, width);
    for (int i = 0; i < 2; ++i) {
      norm_weight_[i] = register_parameter(i == 0 ? "norm1_weight" : "norm2_weight", at::ones({width}));
      norm_bias_[i] = register_parameter(i == 0 ? "norm1_bias" : "norm2_bias", at::zeros({width}));
    }
  }

  // x [B, L, D], visible [B, 1, 1, L] bool
  at::Tensor forward(const at::Tensor& x, const at::Tensor& visible) {
    const at::Tensor a = layer_norm(x, norm_weight_[0], norm_bias_[0]);
    const auto rows = [&](nn::EqualizedLinear& project) { return nn::split_heads(project(a), heads_); };
    const at::Tensor mixed = at::scaled_dot_product_attention(rows(q_), rows(k_), rows(v_), visible);  // [B, h, L, d]
    const at::Tensor y = x + out_(nn::join_heads(mixed));
    return y + down_(nn::leaky_relu(up_(layer_norm(y, norm_weight_[1], norm_bias_[1]))));
  }

 private:
  int64_t heads_;
  nn::EqualizedLinear q_{nullptr}, k_{nullptr}, v_{nullptr}, out_{nullptr}, up_{nullptr}, down_{nullptr};
  at::Tensor norm_weight_[2], norm_bias_[2];
};
TORCH_MODULE(TextLayer);

}  // namespace

Captions Captions::at(const at::Tensor& places) const {
  return {tokens.index_select(0, places), end.index_select(0, places)};
}

TextLayersImpl::TextLayersImpl(const TextConfig& config, const nn::Init& init) : config_(config) {
  const int64_t width = config.width;
  if (config.features == 0) {
    embedding_ = register_parameter("embedding", init.normal("embedding", {config.vocabulary, width}, 1));
    position_ = register_parameter("position", init.normal("position", {config.length, width}, 0.1));
  } else if (config.features != width) {
    in_ = register_module("in", nn::EqualizedLinear(config.features, width, init / "in"));
  }
  layers_ = register_module("layers", torch::nn::ModuleList());
  for (int64_t i = 0; i < config.layers; ++i) layers_->push_back(TextLayer(width, config.heads, init / "layers" / i));
  norm_weight_ = register_parameter("norm_weight", at::ones({width}));
  norm_bias_ = register_parameter("norm_bias", at::zeros({width}));
}

Text TextLayersImpl::forward(const Captions& captions) {
  const at::Tensor end = captions.end.unsqueeze(1);                                          // [B, 1]
  const at::Tensor place = at::arange(captions.tokens.size(1), end.options()).unsqueeze(0);  // [1, L]
  at::Tensor x = captions.tokens;
  if (embedding_.defined())
    x = at::embedding(embedding_, x) + position_.narrow(0, 0, x.size(1));
  else if (!in_.is_empty())
    x = in_(x);
  const at::Tensor visible = (place <= end).unsqueeze(1).unsqueeze(2);  // [B, 1, 1, L]
  for (const auto& layer : *layers_) x = layer->as<TextLayer>()->forward(x, visible);
  x = layer_norm(x, norm_weight_, norm_bias_);  // [B, L, D]
  const at::Tensor at_end = end.unsqueeze(2).expand({-1, 1, x.size(2)});
  return {x, place < end, x.gather(1, at_end).squeeze(1)};
}

double TextLayersImpl::flops() const {
  const double d = static_cast<double>(config_.width), l = static_cast<double>(config_.length);
  return static_cast<double>(config_.layers) * (2 * l * d * d * (4 + 2 * kFeedForward) + 4 * l * l * d);
}

MappingImpl::MappingImpl(int64_t z_dim, int64_t text, int64_t w_dim, int64_t layers, double lr_multiplier,
                         const nn::Init& init) {
  for (int64_t i = 0; i < layers; ++i) {
    const std::string name = gigacat::cat("fc", i);
    layers_.push_back(register_module(name, nn::EqualizedLinear(i == 0 ? z_dim + text : w_dim, w_dim, init / name,
                                                                nn::EqualizedOptions{.lr_multiplier = lr_multiplier})));
  }
}

at::Tensor MappingImpl::forward(const at::Tensor& z, const at::Tensor& global) {
  const nn::FloatIsland island(z);
  at::Tensor w = nn::normalize_second_moment(z);
  if (global.defined()) w = at::cat({w, nn::normalize_second_moment(global.to(w.scalar_type()))}, 1);
  for (nn::EqualizedLinear& layer : layers_) w = nn::leaky_relu(layer(w));
  return w;
}

}  // namespace gigacat::models::gigagan
