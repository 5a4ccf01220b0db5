#include "gigacat/models/gigagan/generator.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "gigacat/nn/activation_checkpoint.h"
#include "gigacat/nn/resample.h"

// Letters: B batch, C channels, r resolution, V style width, L resolutions, Z latent width.
namespace gigacat::models::gigagan {

at::Tensor add_level(const at::Tensor& rgb, const at::Tensor& before) {
  return before.defined() ? rgb + nn::upsample2d(before) : rgb;
}

at::Tensor moved_mean(const at::Tensor& before, const at::Tensor& w, double beta) {
  const at::Tensor mean = w.to(before.scalar_type()).mean(0);
  return mean + beta * (before - mean);
}

GeneratorImpl::GeneratorImpl(const GeneratorConfig& config, const TextConfig& text, const ImageShape& shape,
                             const nn::Init& init)
    : config_(config), text_config_(text), shape_(shape) {
  const std::vector<int64_t> resolutions = resolutions_of(shape);
  check_list(config.blocks, resolutions.size(), "model.generator.blocks");
  check_list(config.bank, resolutions.size(), "model.generator.bank");
  check_list(config.attention, resolutions.size(), "model.generator.attention");
  text_ = register_module("text", TextLayers(text, init / "text"));
  mapping_ = register_module("mapping", Mapping(config.z_dim, text.width, config.w_dim, config.mapping_layers,
                                                config.mapping_lr, init / "mapping"));
  w_avg = register_buffer("w_avg", at::zeros({config.w_dim}));
  int64_t in = config.channels(4);
  for (size_t i = 0; i < resolutions.size(); ++i) {
    const std::string name = gigacat::cat("b", resolutions[i]);
    levels_.push_back(make_level(i, in, init / name));
    register_module(name, levels_.back().owner);
    layers_ += levels_.back().blocks;
    in = config.channels(resolutions[i]);
  }
  constant_ = levels_[0].owner->register_parameter("constant",
                                                   (init / "b4").normal("constant", {1, config.channels(4), 4, 4}, 1));
}

GeneratorImpl::Level GeneratorImpl::make_level(size_t place, int64_t in, const nn::Init& init) {
  Level level{.resolution = int64_t{4} << place, .blocks = config_.blocks[place], .units = config_.attention[place]};
  level.owner = std::make_shared<torch::nn::Module>();
  torch::nn::Module& owner = *level.owner;
  const int64_t c = config_.channels(level.resolution), heads = heads_of(c, config_.head_dim);
  for (int64_t i = 0; i < level.blocks; ++i) {
    const std::string name = gigacat::cat("block", i);
    const bool first = i == 0;
    level.block.push_back(owner.register_module(
        name, SynthesisBlock(first ? in : c, c, first && place > 0 ? Resize::up : Resize::none, config_.bank[place],
                             config_.w_dim, config_.conv_gain, init / name)));
  }
  for (int64_t i = 0; i < level.units; ++i) {
    const std::string self = gigacat::cat("self", i), cross = gigacat::cat("cross", i);
    const AttentionSizes sizes{c, heads, config_.attention_ff, config_.attention_gain, config_.tied};
    level.self.push_back(owner.register_module(self, SelfAttention(sizes, config_.w_dim, init / self)));
    const nn::CrossAttentionOptions options{c, heads, config_.cross_logits, config_.null_as};
    level.cross.push_back(owner.register_module(
        cross, TextAttention(c, text_config_.width, config_.attention_gain, options, init / cross)));
  }
  level.rgb = owner.register_module("rgb", nn::ModulatedLinear(c, shape_.channels, config_.w_dim, false, init / "rgb"));
  return level;
}

// f <- xattn(attn(adaconv(f, w), w), t_local). The units of a resolution stand behind its last blocks.
at::Tensor GeneratorImpl::layer(const Level& level, int64_t block, int64_t index, const at::Tensor& f,
                                const Style& style) {
  const int64_t r = level.resolution;
  // Unit u stands behind block blocks - units + u; with more units than blocks the first block has none of them less.
  int64_t first = block - (level.blocks - level.units), last = first + 1;
  if (block == 0 && level.units > level.blocks) first = 0;
  // Runs again in the backward pass: it holds all that it reads, but for the network itself.
  const auto run = [&level, block, r, first, last, mask = style.mask_of(index)](const std::vector<at::Tensor>& in) {
    const Text seen{in[2], mask, {}};
    SynthesisBlock convolve = level.block[static_cast<size_t>(block)];
    at::Tensor y = convolve(in[0], in[1]);
    for (int64_t u = std::max<int64_t>(0, first); u < last; ++u) {
      SelfAttention self = level.self[static_cast<size_t>(u)];
      TextAttention cross = level.cross[static_cast<size_t>(u)];
      y = to_features(cross(self(to_tokens(y), in[1]), seen), r, r);
    }
    return y;
  };
  return nn::run_block(index, run, {f, style.w_of(index), style.text_of(index)});
}

std::vector<at::Tensor> GeneratorImpl::synthesize(const Style& style) {
  at::Tensor f = constant_.expand({style.size(), -1, -1, -1});  // [B, C, 4, 4]
  at::Tensor image;
  std::vector<at::Tensor> images;
  int64_t index = 0;
  for (Level& level : levels_) {
    for (int64_t i = 0; i < level.blocks; ++i) {
      f = layer(level, i, index, f, style);
      if (scales_)
        scales_->emplace_back(gigacat::cat("layer ", index), f.to(at::kFloat).square().mean().sqrt().item<double>());
      ++index;
    }
    image = add_level(level.rgb(f, style.w_of(index - 1)).to(at::kFloat), image);  // [B, C, r, r]
    images.push_back(image);
  }
  return images;
}

std::vector<std::pair<std::string, double>> GeneratorImpl::activation_scales(const Style& style) {
  at::NoGradGuard no_grad;
  std::vector<std::pair<std::string, double>> scales;
  scales_ = &scales;
  synthesize(style);
  scales_ = nullptr;
  return scales;
}

void GeneratorImpl::update_style_mean(const at::Tensor& w) {
  at::NoGradGuard no_grad;
  w_avg.copy_(moved_mean(w_avg, w, config_.w_avg_beta));
}

double GeneratorImpl::flops() const {
  double sum = text_->flops();
  const double v = static_cast<double>(config_.w_dim);
  sum +=
      2 * v *
      (static_cast<double>(config_.z_dim + text_config_.width) + v * static_cast<double>(config_.mapping_layers - 1));
  int64_t in = config_.channels(4);
  for (const Level& level : levels_) {
    const int64_t r = level.resolution, c = config_.channels(r), tokens = r * r;
    const double pixels = static_cast<double>(tokens), width = static_cast<double>(c);
    // A transposed convolution reads a quarter of the pixels; the shortcut works before the upsampling.
    const double share = r > 4 ? 0.25 : 1, narrow = in != c ? 1 : 0;
    const double first = 2 * pixels * share * static_cast<double>(in) * width * (9 + narrow);
    sum += first + 2 * pixels * width * width * 9 * (2 * static_cast<double>(level.blocks) - 1);
    sum += 2 * pixels * width * static_cast<double>(shape_.channels);
    const AttentionSizes sizes{c, heads_of(c, config_.head_dim), config_.attention_ff, 0, config_.tied};
    sum +=
        static_cast<double>(level.units) * (self_attention_flops(sizes, tokens) +
                                            text_attention_flops(c, tokens, text_config_.length, text_config_.width));
    in = c;
  }
  return sum;
}

double GeneratorImpl::activation_bytes() const {
  double floats = 0;
  for (const Level& level : levels_) {
    const double features =
        static_cast<double>(level.resolution * level.resolution * config_.channels(level.resolution));
    // A block keeps its input, each convolution's scaled input, output and activation, and the sum; a unit eight rows
    // of features and twice the feed-forward.
    floats += features * (9 * static_cast<double>(level.blocks) +
                          static_cast<double>(level.units * (8 + 2 * config_.attention_ff)));
  }
  return 4 * floats;
}

}  // namespace gigacat::models::gigagan
