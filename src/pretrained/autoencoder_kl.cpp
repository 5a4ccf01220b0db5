// Letters: B batch, C latent channels, D channels of a level, H x W image, h x w latent cells.
#include "gigacat/pretrained/autoencoder_kl.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::pretrained {
namespace {

constexpr double kAutoencoderKlEps = 1e-6;
constexpr const char* kAutoencoderKl = "an AutoencoderKL";

Conv2d convolution(int64_t in, int64_t out, int64_t kernel = 3) {
  return Conv2d(Conv2dShape{in, out, {kernel, kernel}, {kernel / 2, kernel / 2}});
}

// Diffusers' older names of the attention's four projections.
std::string modern_name(std::string name) {
  constexpr std::pair<const char*, const char*> renames[] = {
      {".query.", ".to_q."}, {".key.", ".to_k."}, {".value.", ".to_v."}, {".proj_attn.", ".to_out.0."}};
  for (const auto& [old, modern] : renames)
    if (const size_t at = name.find(old); at != std::string::npos)
      return name.replace(at, std::string(old).size(), modern);
  return name;
}

}  // namespace

namespace autoencoder_kl_parts {

// x + conv(silu(norm(conv(silu(norm(x)))))), x through a 1x1 convolution where the channels change.
// [B, in, H, W] -> [B, out, H, W].
class Resnet : public torch::nn::Module {
 public:
  Resnet(int64_t in, int64_t out, int64_t groups)
      : norm1_(register_module("norm1", GroupNorm(groups, in, kAutoencoderKlEps))),
        norm2_(register_module("norm2", GroupNorm(groups, out, kAutoencoderKlEps))),
        conv1_(register_module("conv1", convolution(in, out))),
        conv2_(register_module("conv2", convolution(out, out))) {
    if (in != out) shortcut_ = register_module("conv_shortcut", convolution(in, out, 1));
  }
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor y = conv1_(at::silu(norm1_(x)));
    return conv2_(at::silu(norm2_(y)), Activation::none, shortcut_ ? shortcut_(x) : x);
  }

 private:
  GroupNorm norm1_, norm2_;
  Conv2d conv1_, conv2_, shortcut_{nullptr};
};

// x + attention of one head over all cells. [B, D, h, w] of one shape.
class Attention : public torch::nn::Module {
 public:
  Attention(int64_t d, int64_t groups)
      : norm_(register_module("group_norm", GroupNorm(groups, d, kAutoencoderKlEps))),
        q_(register_module("to_q", Linear(d, d))),
        k_(register_module("to_k", Linear(d, d))),
        v_(register_module("to_v", Linear(d, d))),
        out_(place(*this, "to_out.0", Linear(d, d))) {}
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor tokens = norm_(x).flatten(2).transpose(1, 2);                       // [B, h w, D]
    const at::Tensor y = out_(attend(q_(tokens), k_(tokens), v_(tokens), /*heads=*/1));  // [B, h w, D]
    return x + y.transpose(1, 2).unflatten(2, {x.size(2), x.size(3)});
  }

 private:
  GroupNorm norm_;
  Linear q_, k_, v_, out_;
};

class Middle : public torch::nn::Module {
 public:
  Middle(int64_t d, int64_t groups) {
    first_ = place(*this, "resnets.0", std::make_shared<Resnet>(d, d, groups));
    attention_ = place(*this, "attentions.0", std::make_shared<Attention>(d, groups));
    second_ = place(*this, "resnets.1", std::make_shared<Resnet>(d, d, groups));
  }
  at::Tensor forward(const at::Tensor& x) { return second_->forward(attention_->forward(first_->forward(x))); }

 private:
  std::shared_ptr<Resnet> first_, second_;
  std::shared_ptr<Attention> attention_;
};

// Residual blocks, then a change of size by 2 but at the last level.
struct Level {
  std::vector<std::shared_ptr<Resnet>> resnets;
  Conv2d resize{nullptr};
};

Level make_level(torch::nn::Module& owner, const std::string& path, int64_t in, int64_t out, int64_t layers,
                 int64_t groups) {
  Level level;
  for (int64_t j = 0; j < layers; ++j)
    level.resnets.push_back(
        place(owner, cat(path, ".resnets.", j), std::make_shared<Resnet>(j == 0 ? in : out, out, groups)));
  return level;
}

class Encoder : public torch::nn::Module {
 public:
  explicit Encoder(const AutoencoderKlConfig& c) {
    const int64_t first = c.widths.front(), last = c.widths.back();
    conv_in_ = register_module("conv_in", convolution(3, first));
    for (size_t i = 0; i < c.widths.size(); ++i) {
      const std::string path = cat("down_blocks.", i);
      const int64_t d = c.widths[i], before = i == 0 ? first : c.widths[i - 1];
      levels_.push_back(make_level(*this, path, before, d, c.layers, c.norm_groups));
      if (i + 1 < c.widths.size())
        levels_.back().resize = place(*this, path + ".downsamplers.0.conv",
                                      Conv2d(Conv2dShape{.in = d, .out = d, .padding = {0, 0}, .stride = 2}));
    }
    middle_ = register_module("mid_block", std::make_shared<Middle>(last, c.norm_groups));
    norm_ = register_module("conv_norm_out", GroupNorm(c.norm_groups, last, kAutoencoderKlEps));
    conv_out_ = register_module("conv_out", convolution(last, 2 * c.latent_channels));
  }
  at::Tensor forward(const at::Tensor& images, const StageObserver& observe) {
    at::Tensor x = conv_in_(images);  // [B, D_0, H, W]
    for (Level& level : levels_) {
      for (auto& resnet : level.resnets) x = resnet->forward(x);
      if (level.resize) x = level.resize(at::constant_pad_nd(x, {0, 1, 0, 1}));  // [B, D_i, H / 2^i, W / 2^i]
    }
    x = middle_->forward(x);  // [B, D_last, h, w]
    if (observe) observe("encoder.mid_block", x);
    return conv_out_(at::silu(norm_(x)));
  }

 private:
  Conv2d conv_in_{nullptr}, conv_out_{nullptr};
  std::vector<Level> levels_;
  std::shared_ptr<Middle> middle_;
  GroupNorm norm_{nullptr};
};

class Decoder : public torch::nn::Module {
 public:
  explicit Decoder(const AutoencoderKlConfig& c) {
    const int64_t first = c.widths.front(), last = c.widths.back();
    conv_in_ = register_module("conv_in", convolution(c.latent_channels, last));
    middle_ = register_module("mid_block", std::make_shared<Middle>(last, c.norm_groups));
    int64_t before = last;
    for (size_t i = 0; i < c.widths.size(); ++i) {
      const std::string path = cat("up_blocks.", i);
      const int64_t d = c.widths[c.widths.size() - 1 - i];
      levels_.push_back(make_level(*this, path, before, d, c.layers + 1, c.norm_groups));
      if (i + 1 < c.widths.size()) levels_.back().resize = place(*this, path + ".upsamplers.0.conv", convolution(d, d));
      before = d;
    }
    norm_ = register_module("conv_norm_out", GroupNorm(c.norm_groups, first, kAutoencoderKlEps));
    conv_out_ = register_module("conv_out", convolution(first, 3));
  }
  at::Tensor forward(const at::Tensor& latents) {
    at::Tensor x = middle_->forward(conv_in_(latents));  // [B, D_last, h, w]
    for (Level& level : levels_) {
      for (auto& resnet : level.resnets) x = resnet->forward(x);
      if (level.resize) x = level.resize(at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}));
    }
    return conv_out_(at::silu(norm_(x)));  // [B, 3, H, W]
  }

 private:
  Conv2d conv_in_{nullptr}, conv_out_{nullptr};
  std::vector<Level> levels_;
  std::shared_ptr<Middle> middle_;
  GroupNorm norm_{nullptr};
};

}  // namespace autoencoder_kl_parts

AutoencoderKlConfig AutoencoderKlConfig::deduce(const weights::Weights& weights) {
  AutoencoderKlConfig config;
  config.widths.clear();
  config.layers = 0;
  const auto down = [](size_t level, int64_t layer) {
    return cat("encoder.down_blocks.", level, ".resnets.", layer, ".conv1.weight");
  };
  while (weights.has(down(config.widths.size(), 0)))
    config.widths.push_back(weights.at(down(config.widths.size(), 0), kAutoencoderKl).size(0));
  if (config.widths.empty()) weights::refuse(weights, kAutoencoderKl, "it has no encoder.down_blocks.0");
  while (weights.has(down(0, config.layers))) ++config.layers;
  const at::Tensor& conv_in = weights.at("decoder.conv_in.weight", kAutoencoderKl);
  if (conv_in.dim() != 4) weights::refuse(weights, kAutoencoderKl, "decoder.conv_in.weight has no four dimensions");
  config.latent_channels = conv_in.size(1);
  config.quant_conv = weights.has("quant_conv.weight");
  config.post_quant_conv = weights.has("post_quant_conv.weight");
  return config;
}

AutoencoderKlImpl::AutoencoderKlImpl(const AutoencoderKlConfig& config) : config_(config) {
  using namespace autoencoder_kl_parts;
  const int64_t c = config.latent_channels;
  encoder_ = register_module("encoder", std::make_shared<Encoder>(config));
  decoder_ = register_module("decoder", std::make_shared<Decoder>(config));
  if (config.quant_conv) quant_conv_ = register_module("quant_conv", convolution(2 * c, 2 * c, 1));
  if (config.post_quant_conv) post_quant_conv_ = register_module("post_quant_conv", convolution(c, c, 1));
}

AutoencoderKlImpl::~AutoencoderKlImpl() = default;

at::Tensor AutoencoderKlImpl::encode(const at::Tensor& images, const StageObserver& observe) {
  const at::Tensor moments = encoder_->forward(images, observe);  // [B, 2C, h, w]
  return (quant_conv_ ? quant_conv_(moments) : moments).contiguous();
}

at::Tensor AutoencoderKlImpl::decode(const at::Tensor& latents) {
  return decoder_->forward(post_quant_conv_ ? post_quant_conv_(latents) : latents).contiguous();
}

at::Tensor AutoencoderKlImpl::encode_tiled(const at::Tensor& images, int64_t tile) {
  const int64_t factor = config_.factor(), side = tile / factor * factor;
  if (side == 0 || std::max(images.size(2), images.size(3)) <= side) return encode(images);
  const Tiling tiling{.tile = side, .overlap = side / 4 / factor * factor, .scale = factor, .shrink = true};
  return blend_tiles(images, tiling, [this](const at::Tensor& x) { return encode(x); });
}

at::Tensor AutoencoderKlImpl::decode_tiled(const at::Tensor& latents, int64_t tile) {
  const int64_t factor = config_.factor(), side = tile / factor;
  if (side == 0 || std::max(latents.size(2), latents.size(3)) <= side) return decode(latents);
  const Tiling tiling{.tile = side, .overlap = side / 4, .scale = factor, .shrink = false};
  return blend_tiles(latents, tiling, [this](const at::Tensor& z) { return decode(z); });
}

Moments split_moments(const at::Tensor& moments) {
  const std::vector<at::Tensor> halves = moments.chunk(2, 1);
  return {halves[0], halves[1].clamp(-30, 20)};
}

AutoencoderKl load_autoencoder_kl(const weights::Weights& weights, const weights::LoadOptions& options,
                                  int64_t norm_groups) {
  weights::Weights modern{{}, weights.origin};
  for (const auto& [name, tensor] : weights.tensors) modern.tensors[modern_name(name)] = tensor;
  AutoencoderKlConfig config = AutoencoderKlConfig::deduce(modern);
  if (norm_groups > 0) config.norm_groups = norm_groups;
  for (const int64_t width : config.widths)
    if (width % config.norm_groups != 0)
      weights::refuse(modern, kAutoencoderKl,
                      cat(width, " channels are not divisible by ", config.norm_groups, " norm groups"));
  AutoencoderKl network(config);
  weights::assign(*network, modern, kAutoencoderKl, options);
  return network;
}

int64_t stored_norm_groups(const std::filesystem::path& weights) {
  const std::filesystem::path file =
      (std::filesystem::is_directory(weights) ? weights : weights.parent_path()) / "config.json";
  if (!std::filesystem::exists(file)) return 0;
  const auto json = nlohmann::json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) fail(file.string(), " is no JSON object");
  const auto found = json.find("norm_num_groups");
  if (found == json.end()) return 0;
  if (!found->is_number_integer() || *found < 1)
    fail(file.string(), ": norm_num_groups ", found->dump(), " is no count");
  return *found;
}

}  // namespace gigacat::pretrained
