// Letters: B batch, C latent channels, H x W image, h x w = H/8 x W/8 latent cells.
#include "gigacat/pretrained/taesd.h"

#include <ATen/ATen.h>

#include <cctype>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/pretrained/layers.h"

namespace gigacat::pretrained {
namespace {

constexpr int64_t kWidth = 64;
constexpr int64_t kPoolGroups = 4;
constexpr double kPoolEps = 1e-5;
constexpr const char* kTaesd = "a TAESD autoencoder";

// relu(convolutions(x) + x); pooled blocks add a normed 1x1 bottleneck to x first. [B, 64, H, W] of one shape.
class TaesdBlockImpl : public torch::nn::Module {
 public:
  explicit TaesdBlockImpl(bool pooled) {
    for (int i = 0; i < 3; ++i) conv_[i] = place(*this, cat("conv.", 2 * i), Conv2d(Conv2dShape{kWidth, kWidth}));
    if (!pooled) return;
    const auto point = [](int64_t in, int64_t out) {
      return Conv2d(Conv2dShape{.in = in, .out = out, .kernel = {1, 1}, .padding = {0, 0}, .bias = false});
    };
    widen_ = place(*this, "pool.0", point(kWidth, 4 * kWidth));
    norm_ = place(*this, "pool.1", GroupNorm(kPoolGroups, 4 * kWidth, kPoolEps));
    narrow_ = place(*this, "pool.3", point(4 * kWidth, kWidth));
  }
  at::Tensor forward(const at::Tensor& input) {
    at::Tensor x = input;
    if (widen_) x = narrow_(at::relu(norm_(widen_(x))), Activation::none, x);
    const at::Tensor y = conv_[1](conv_[0](x, Activation::relu), Activation::relu);
    return conv_[2](y, Activation::relu, x);
  }

 private:
  Conv2d conv_[3]{nullptr, nullptr, nullptr}, widen_{nullptr}, narrow_{nullptr};
  GroupNorm norm_{nullptr};
};
TORCH_MODULE(TaesdBlock);

bool starts_with_digit(const std::string& name) {
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0]));
}

// "2.conv.0.weight" -> "3.conv.0.weight": diffusers keeps the decoder's first layer out of its list.
std::string next_index(const std::string& name) {
  const size_t dot = name.find('.');
  return cat(parse_int(name.substr(0, dot), "layer") + 1, name.substr(dot));
}

std::string official_name(const std::string& name, bool bare_encoder) {
  const std::string encoder = "encoder.layers.", decoder = "decoder.layers.";
  if (name.starts_with(encoder)) return "encoder." + name.substr(encoder.size());
  if (name.starts_with(decoder) && starts_with_digit(name.substr(decoder.size())))
    return "decoder." + next_index(name.substr(decoder.size()));
  if (starts_with_digit(name)) return (bare_encoder ? "encoder." : "decoder.") + name;
  return name;
}

}  // namespace

TaesdConfig TaesdConfig::deduce(const weights::Weights& weights) {
  TaesdConfig config;
  config.encoder = weights.has("encoder.0.weight");
  config.decoder = weights.has("decoder.1.weight");
  if (!config.encoder && !config.decoder)
    weights::refuse(weights, kTaesd, "it has neither encoder.0.weight nor decoder.1.weight");
  const at::Tensor& edge =
      config.encoder ? weights.at("encoder.14.weight", kTaesd) : weights.at("decoder.1.weight", kTaesd);
  if (edge.dim() != 4) weights::refuse(weights, kTaesd, "its convolution to or from latents has no four dimensions");
  config.latent_channels = edge.size(config.encoder ? 0 : 1);
  config.pooled = weights.has("encoder.11.pool.0.weight") || weights.has("decoder.3.pool.0.weight");
  return config;
}

weights::Weights taesd_names(weights::Weights weights) {
  weights::Weights renamed{{}, std::move(weights.origin)};
  const bool bare_encoder = weights.tensors.contains("0.weight");  // a decoder begins with a clamp
  for (auto& [name, tensor] : weights.tensors) renamed.tensors[official_name(name, bare_encoder)] = std::move(tensor);
  return renamed;
}

void TaesdHalfImpl::conv(int64_t in, int64_t out, int64_t stride, bool bias, bool relu) {
  Conv2d layer =
      place(*this, std::to_string(index_++), Conv2d(Conv2dShape{.in = in, .out = out, .stride = stride, .bias = bias}));
  apply([layer, relu](const at::Tensor& x) mutable { return layer(x, relu ? Activation::relu : Activation::none); });
}

void TaesdHalfImpl::blocks(int count, bool pooled) {
  for (int i = 0; i < count; ++i) {
    TaesdBlock block = place(*this, std::to_string(index_++), TaesdBlock(pooled));
    apply([block](const at::Tensor& x) mutable { return block(x); });
  }
}

std::shared_ptr<TaesdHalfImpl> TaesdHalfImpl::encoder(const TaesdConfig& config) {
  auto half = std::make_shared<TaesdHalfImpl>();
  half->conv(3, kWidth, 1, true);  // [B, 64, H, W]
  half->blocks(1, false);
  for (int stage = 1; stage <= 3; ++stage) {
    half->conv(kWidth, kWidth, 2, false);  // [B, 64, H / 2^stage, W / 2^stage]
    half->blocks(3, config.pooled && stage == 3);
  }
  half->conv(kWidth, config.latent_channels, 1, true);  // [B, C, h, w]
  return half;
}

std::shared_ptr<TaesdHalfImpl> TaesdHalfImpl::decoder(const TaesdConfig& config) {
  auto half = std::make_shared<TaesdHalfImpl>();
  half->apply([](const at::Tensor& z) { return at::tanh(z / 3) * 3; });
  half->index_ += 1;
  half->conv(config.latent_channels, kWidth, 1, true, /*relu=*/true);  // [B, 64, h, w]
  half->index_ += 1;
  for (int stage = 1; stage <= 3; ++stage) {
    half->blocks(3, config.pooled && stage == 1);
    half->apply([](const at::Tensor& x) {
      return at::upsample_nearest2d(x, at::IntArrayRef({2 * x.size(2), 2 * x.size(3)}));
    });
    half->index_ += 1;
    half->conv(kWidth, kWidth, 1, false);  // [B, 64, 2^stage h, 2^stage w]
  }
  half->blocks(1, false);
  half->conv(kWidth, 3, 1, true);  // [B, 3, H, W]
  return half;
}

at::Tensor TaesdHalfImpl::forward(const at::Tensor& x) {
  at::Tensor y = x;
  for (auto& step : steps_) y = step(y);
  return y.contiguous();
}

TaesdImpl::TaesdImpl(const TaesdConfig& config) : config_(config) {
  if (config.encoder) encoder_ = register_module("encoder", TaesdHalfImpl::encoder(config));
  if (config.decoder) decoder_ = register_module("decoder", TaesdHalfImpl::decoder(config));
}

at::Tensor TaesdImpl::encode(const at::Tensor& images) {
  if (!encoder_)
    fail("TAESD: images cannot be encoded: the weights are a decoder's alone; give a folder with both files");
  return encoder_->forward(images);
}

at::Tensor TaesdImpl::decode(const at::Tensor& latents) {
  if (!decoder_)
    fail("TAESD: latents cannot be decoded: the weights are an encoder's alone; give a folder with both files");
  return decoder_->forward(latents);
}

Taesd load_taesd(weights::Weights weights, const weights::LoadOptions& options) {
  const weights::Weights official = taesd_names(std::move(weights));
  Taesd taesd(TaesdConfig::deduce(official));
  weights::assign(*taesd, official, kTaesd, options);
  return taesd;
}

}  // namespace gigacat::pretrained
