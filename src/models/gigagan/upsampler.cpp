#include "gigacat/models/gigagan/upsampler.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <bit>
#include <numbers>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "gigacat/models/gigagan/generator.h"
#include "gigacat/nn/activation_checkpoint.h"

// Letters as in the header; C channels, r resolution.
namespace gigacat::models::gigagan {
namespace {

constexpr int64_t kColours = 3;
constexpr double kFirstRgb = 0.01;  // of the to-RGBs' weights: a residual network begins near the enlarged input

// Of what turns w into modulations and selections: the fidelity losses want one answer for every z, and a network whose
// features change their signs with z finds none for long.
constexpr double kFirstStyle = 0.1;

bool is_power_of_two(int64_t n) { return n > 0 && std::has_single_bit(static_cast<uint64_t>(n)); }

}  // namespace

void UpsamplerConfig::bind(config::Binder& b) {
  b.field("z_dim", z_dim, 128, "width of z", {.min = 1, .source = "GigaGAN section 3"});
  b.field("w_dim", w_dim, 1024, "width of the style vector w", {.min = 1, .source = "as the base model"});
  b.field("mapping_layers", mapping_layers, 4, "layers of the mapping", {.min = 1, .max = 32, .source = "open"});
  b.field("mapping_lr", mapping_lr, 0.01, "learning rate of the mapping relative to the rest",
          {.min = 1e-6, .max = 1, .source = "StyleGAN2; open"});
  b.field("channel_base", channel_base, 32768, "channels are min(channel_base / resolution, channel_max)",
          {.min = 4, .source = "inferred from 359.1 M parameters"});
  b.field("channel_max", channel_max, 512, "most channels of a level",
          {.min = 4, .source = "inferred from 359.1 M parameters"});
  b.field("down", down, 3, "levels that halve before the size grows",
          {.min = 1, .max = 8, .source = "GigaGAN section 3.6"});
  b.field("blocks", blocks, 2, "residual blocks of two convolutions in a level",
          {.min = 1, .max = 64, .source = "inferred"});
  b.field("bank_down", bank_down, 1, "kernels N of an adaptive convolution on the way down",
          {.min = 1, .max = 64, .source = "inferred"});
  b.field("bank_up", bank_up, 8, "the same on the way up", {.min = 1, .max = 64, .source = "inferred"});
  b.field("attention", attention, {2, 2, 1},
          "units of self- and cross-attention by level, the middle first; none in levels beyond the list",
          {.min = 0, .max = 64, .source = "inferred"});
  bind_layers(b);
  b.field("residual", residual, true,
          "the image is what the network adds to the bicubically enlarged input; off: all of it is made anew",
          {.source = "open"});
}

int64_t UpsamplerConfig::channels(int64_t resolution) const {
  return std::clamp<int64_t>(channel_base / resolution, 1, channel_max);
}

int64_t UpsamplerConfig::units(int64_t level) const {
  return level < std::ssize(attention) ? attention[static_cast<size_t>(level)] : 0;
}

UpsamplerImpl::UpsamplerImpl(const UpsamplerConfig& config, const std::optional<TextConfig>& text, int64_t side,
                             int64_t scale, const nn::Init& init)
    : config_(config), text_config_(text), side_(side) {
  if (!is_power_of_two(side) || !is_power_of_two(scale) || scale < 2)
    fail<UsageError>("data.resolution: an upsampler makes 2^m px of 2^n px, not ", side * scale, " of ", side);
  if (side >> config.down < 1)
    fail<UsageError>("model.generator.down: ", side, " px cannot be halved ", config.down, " times");
  if (text) text_ = register_module("text", TextLayers(*text, init / "text"));
  mapping_ = register_module("mapping", Mapping(config.z_dim, text ? text->width : 0, config.w_dim,
                                                config.mapping_layers, config.mapping_lr, init / "mapping"));
  input_ = register_module("input", nn::EqualizedConv(kColours, config.channels(side), 3, init / "input"));
  const auto last = static_cast<size_t>(config.blocks);

  for (int64_t i = 0; i < config.down; ++i) {
    std::vector<int64_t> widths(last + 1, config.channels(side >> (i + 1)));
    widths.front() = config.channels(side >> i);
    downs_.push_back(make_level(gigacat::cat("down", i), widths, Resize::down, config.bank_down, 0, init));
    downs_.back().resolution = side >> (i + 1);
  }
  const int64_t inner = side >> config.down;
  middle_ = make_level("mid", {config.channels(inner)}, Resize::none, 1, config.units(0), init);
  middle_.resolution = inner;
  const int64_t levels = config.down + std::countr_zero(static_cast<uint64_t>(scale));
  for (int64_t i = 0; i < levels; ++i) {
    std::vector<int64_t> widths(last + 1, config.channels(inner << (i + 1)));
    widths.front() = config.channels(inner << i);
    const std::string name = gigacat::cat("up", i);
    ups_.push_back(make_level(name, widths, Resize::up, config.bank_up, config.units(i + 1), init));
    Level& level = ups_.back();
    level.resolution = inner << (i + 1);
    level.rgb = named_children()[name]->register_module(
        "rgb", nn::ModulatedLinear(widths.back(), kColours, config.w_dim, false, init / name / "rgb"));
  }
  begin_gently();
}

void UpsamplerImpl::begin_gently() {
  const at::NoGradGuard no_grad;
  for (auto& item : named_parameters())
    if (item.key().ends_with("affine.weight") || item.key().ends_with("select.weight")) item.value().mul_(kFirstStyle);
  if (!config_.residual) return;
  for (Level& level : ups_) level.rgb->weight.mul_(kFirstRgb);
}

// Blocks between the widths, the first resizing, then units.
UpsamplerImpl::Level UpsamplerImpl::make_level(const std::string& name, const std::vector<int64_t>& widths,
                                               Resize first, int64_t bank, int64_t units, const nn::Init& init) {
  Level level;
  torch::nn::Module& owner = *register_module(name, std::make_shared<torch::nn::Module>());
  const nn::Init own = init / name;
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    const std::string part = gigacat::cat("block", i);
    const Resize resize = i == 0 ? first : Resize::none;
    level.block.push_back(owner.register_module(
        part, SynthesisBlock(widths[i], widths[i + 1], resize, bank, config_.w_dim, config_.conv_gain, own / part)));
  }
  const int64_t c = widths.back(), heads = heads_of(c, config_.head_dim);
  for (int64_t i = 0; i < units; ++i) {
    const std::string self = gigacat::cat("self", i), cross = gigacat::cat("cross", i);
    const AttentionSizes sizes{c, heads, config_.attention_ff, config_.attention_gain, config_.tied};
    level.self.push_back(owner.register_module(self, SelfAttention(sizes, config_.w_dim, own / self)));
    if (!text_config_) continue;
    const nn::CrossAttentionOptions options{c, heads, config_.cross_logits, config_.null_as};
    level.cross.push_back(owner.register_module(
        cross, TextAttention(c, text_config_->width, config_.attention_gain, options, own / cross)));
  }
  return level;
}

Text UpsamplerImpl::read(const Captions& captions) { return text_.is_empty() ? Text{} : text_(captions); }

// One unit: f <- xattn(attn(f, w), t_local).
at::Tensor UpsamplerImpl::attend(Level& level, int64_t unit, const at::Tensor& f, const at::Tensor& w,
                                 const Text& text) {
  const auto u = static_cast<size_t>(unit);
  at::Tensor tokens = level.self[u](to_tokens(f), w);
  if (!level.cross.empty()) tokens = level.cross[u](tokens, text);
  return to_features(tokens, f.size(2), f.size(3));
}

// A block and, behind the level's last one, its units.
at::Tensor UpsamplerImpl::run(Level& level, size_t block, const at::Tensor& f, const at::Tensor& w, const Text& text) {
  const bool is_last = block + 1 >= level.block.size();
  const auto body = [this, &level, block, is_last, mask = text.mask](const std::vector<at::Tensor>& in) {
    const Text seen{in.size() > 2 ? in[2] : at::Tensor(), mask, {}};
    at::Tensor y = block < level.block.size() ? level.block[block](in[0], in[1]) : in[0];
    if (is_last)
      for (int64_t u = 0; u < std::ssize(level.self); ++u) y = attend(level, u, y, in[1], seen);
    return y;
  };
  std::vector<at::Tensor> inputs{f, w};
  if (text.local.defined()) inputs.push_back(text.local);
  return nn::run_block(index_++, body, inputs);
}

at::Tensor UpsamplerImpl::forward(const at::Tensor& x, const at::Tensor& w, const Text& text) {
  index_ = 0;
  at::Tensor f = nn::leaky_relu(input_(x));  // [B, C, s, s]
  std::vector<at::Tensor> skips;
  for (Level& level : downs_) {
    skips.push_back(f);  // [B, C, 2 r, 2 r]
    for (size_t i = 0; i < level.block.size(); ++i) f = run(level, i, f, w, text);
  }
  f = run(middle_, 0, f, w, text);  // [B, C, s / 2^down, s / 2^down]
  at::Tensor image;
  for (Level& level : ups_) {
    for (size_t i = 0; i < level.block.size(); ++i) {
      f = run(level, i, f, w, text);  // [B, C, r, r]
      if (i > 0 || skips.empty()) continue;
      f = (f + skips.back()) * (std::numbers::sqrt2 / 2);
      skips.pop_back();
    }
    image = add_level(level.rgb(f, w).to(at::kFloat), image);  // [B, 3, r, r]
  }
  if (!config_.residual) return image;
  return image + at::_upsample_bicubic2d_aa(x.to(at::kFloat), {image.size(2), image.size(3)}, /*align_corners=*/false);
}

double UpsamplerImpl::flops() const {
  const double v = static_cast<double>(config_.w_dim);
  const double told = static_cast<double>(config_.z_dim + (text_config_ ? text_config_->width : 0));
  double sum =
      (text_.is_empty() ? 0 : text_->flops()) + 2 * v * (told + v * static_cast<double>(config_.mapping_layers - 1));
  sum += 2 * 9 * static_cast<double>(side_ * side_ * kColours * config_.channels(side_));
  const auto units = [&](const Level& level) {
    const int64_t c = config_.channels(level.resolution), tokens = level.resolution * level.resolution;
    const AttentionSizes sizes{c, heads_of(c, config_.head_dim), config_.attention_ff, 0, config_.tied};
    double one = self_attention_flops(sizes, tokens);
    if (text_config_) one += text_attention_flops(c, tokens, text_config_->length, text_config_->width);
    return static_cast<double>(level.self.size()) * one;
  };
  const double convolutions = 2 * static_cast<double>(config_.blocks);
  for (const Level& level : downs_) {
    const double pixels = static_cast<double>(level.resolution * level.resolution);
    const double in = static_cast<double>(config_.channels(2 * level.resolution));
    const double out = static_cast<double>(config_.channels(level.resolution));
    sum += 2 * 9 * pixels * out * (in + out * (convolutions - 1));
  }
  sum += units(middle_);
  for (const Level& level : ups_) {
    // A transposed convolution reads a quarter of the pixels.
    const double pixels = static_cast<double>(level.resolution * level.resolution);
    const double in = static_cast<double>(config_.channels(level.resolution / 2));
    const double out = static_cast<double>(config_.channels(level.resolution));
    sum += 2 * 9 * pixels * out * (in / 4 + out * (convolutions - 1)) + 2 * pixels * out * kColours + units(level);
  }
  return sum;
}

double UpsamplerImpl::activation_bytes() const {
  double floats = 0;
  for (const auto* levels : {&downs_, &ups_})
    for (const Level& level : *levels) {
      const int64_t r = level.resolution;
      // A block keeps its input, each convolution's scaled input, output and activation, and the sum; a unit eight rows
      // of features and twice the feed-forward.
      floats += static_cast<double>(r * r * config_.channels(r) *
                                    (9 * config_.blocks + std::ssize(level.self) * (8 + 2 * config_.attention_ff)));
    }
  return 4 * floats;
}

}  // namespace gigacat::models::gigagan
