// Letters: B tiles, s and S their size before and after, Z latent width, C channels of a level.
#include "gigacat/models/aura_sr/network.h"

#include <ATen/ATen.h>

#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "models/aura_sr/blocks.h"

namespace gigacat::models::aura_sr {
namespace {

constexpr int64_t kBlocks = 6;  // of a level
constexpr double kNoise = 0.001;
constexpr const char* kWanted = "an AuraSR upsampler";

bool is_power_of_two(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

void check(const AuraSrConfig& config, const std::string& origin) {
  const auto require = [&](bool ok, const char* what) {
    if (!ok) fail(origin, " describes no AuraSR network: ", what);
  };
  require(is_power_of_two(config.image_size) && is_power_of_two(config.input_image_size) &&
              config.input_image_size < config.image_size,
          "image_size and input_image_size must be powers of two, the first the larger");
  require(config.kernels > 1, "num_conv_kernels must be more than one");
  require(config.channels == 3, "channels must be 3");
  const size_t ups = config.up_mults.size(), downs = config.down_mults.size();
  require(downs >= 1 && downs < ups && ups <= config.full_attn.size() && ups <= config.attn_depths.size() && ups < 16,
          "the lists of levels do not belong together");
  require(config.image_size >> (ups - downs) == config.input_image_size,
          "the levels do not lead from input_image_size to image_size");
  require(config.input_image_size >> downs > 0, "input_image_size is too small for the down path");
  const auto sane = [](int64_t value) { return value > 0 && value <= 1 << 16; };
  for (const auto* list : {&config.up_mults, &config.down_mults, &config.attn_depths})
    for (const int64_t value : *list) require(sane(value), "a list holds a value that is not positive");
  for (const int64_t value : {config.dim, config.init_dim, config.z_dim, config.style_dim, config.style_depth,
                              config.heads, config.head_dim, config.mid_attn_depth, config.kernels})
    require(sane(value), "a size is not positive");
}

}  // namespace

AuraSrConfig AuraSrConfig::parse(const std::string& json, const std::string& origin) {
  const auto values = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!values.is_object()) fail(origin, " is no JSON object");
  AuraSrConfig config;
  try {
    const auto take = [](const nlohmann::json& from, const char* key, auto& into) {
      if (from.contains(key) && !from.at(key).is_null()) from.at(key).get_to(into);
    };
    take(values, "dim", config.dim);
    config.init_dim = config.dim;
    take(values, "init_dim", config.init_dim);
    take(values, "channels", config.channels);
    take(values, "image_size", config.image_size);
    take(values, "input_image_size", config.input_image_size);
    take(values, "skip_connect_scale", config.skip_scale);
    take(values, "num_conv_kernels", config.kernels);
    take(values, "self_attn_heads", config.heads);
    take(values, "self_attn_dim_head", config.head_dim);
    take(values, "mid_attn_depth", config.mid_attn_depth);
    take(values, "up_dim_mults", config.up_mults);
    take(values, "down_dim_mults", config.down_mults);
    take(values, "attn_depths", config.attn_depths);
    take(values, "full_attn", config.full_attn);
    const nlohmann::json style = values.value("style_network", nlohmann::json::object());
    take(style, "dim_in", config.z_dim);
    take(style, "dim_out", config.style_dim);
    take(style, "depth", config.style_depth);
    take(style, "lr_mul", config.style_lr);
  } catch (const nlohmann::json::exception& error) {
    fail(origin, " describes no AuraSR network: ", error.what());
  }
  check(config, origin);
  return config;
}

// kBlocks blocks; attention where the level has it; a convolution that halves (down) or comes after doubling (up).
struct AuraSrImpl::Level {
  std::string name;  // "downs.0"
  std::vector<std::shared_ptr<ModulatedBlockImpl>> blocks;
  std::shared_ptr<AttentionStackImpl> attention;
  std::shared_ptr<Conv2dImpl> resample;
};

// The stream of modulations [B, ...] that the blocks draw from in turn; undefined: the folded kernels serve.
struct AuraSrImpl::Style {
  at::Tensor stream;
  int64_t used = 0;

  std::vector<at::Tensor> next(const ModulatedBlockImpl& block) {
    std::vector<at::Tensor> parts;
    for (const int64_t size : block.style_sizes()) {
      parts.push_back(stream.narrow(1, used, size));
      used += size;
    }
    return parts;
  }
  at::Tensor operator()(ModulatedBlockImpl& block, const at::Tensor& x) {
    return stream.defined() ? block.forward(x, next(block)) : block.apply(x);
  }
};

AuraSrImpl::~AuraSrImpl() = default;

std::shared_ptr<ModulatedBlockImpl> AuraSrImpl::block(const std::string& path, int64_t in, int64_t out) {
  return place(*this, path, ModulatedBlock(in, out, config_.kernels)).ptr();
}

AuraSrImpl::AuraSrImpl(const AuraSrConfig& config) : config_(config) {
  std::string name;
  const auto parameter = [&](const std::string& path, at::IntArrayRef shape) {
    torch::nn::Module& group = group_of(*this, path, name);
    return add_parameter(group, name, shape);
  };
  const auto attention = [&](const std::string& path, int64_t width, int64_t depth) {
    return place(*this, path, AttentionStack(width, config.heads, config.head_dim, depth)).ptr();
  };
  const auto conv = [&](const std::string& path, const Conv2dShape& shape) {
    return place(*this, path, Conv2d(shape)).ptr();
  };

  for (int64_t i = 0, in = config.z_dim; i < config.style_depth; ++i, in = config.style_dim)
    style_network_.emplace_back(parameter(cat("style_network.net.", 2 * i, ".weight"), {config.style_dim, in}),
                                parameter(cat("style_network.net.", 2 * i, ".bias"), {config.style_dim}));

  const auto ups = static_cast<int64_t>(config.up_mults.size()), downs = static_cast<int64_t>(config.down_mults.size());
  const auto up_width = [&](int64_t level) {  // 0: before the first
    return level == 0 ? config.init_dim : config.dim * config.up_mults[static_cast<size_t>(level - 1)];
  };
  const auto down_width = [&](int64_t level) {
    return level == 0 ? up_width(ups - downs) : config.dim * config.down_mults[static_cast<size_t>(level - 1)];
  };
  init_conv_ = conv("init_conv", {config.channels, down_width(0), {7, 7}, {3, 3}});

  for (int64_t i = 0; i < downs; ++i) {  // [B, C, s / 2^i, s / 2^i]
    Level level{.name = cat("downs.", i)};
    const int64_t width = down_width(i);
    for (int64_t b = 0; b < kBlocks; ++b) level.blocks.push_back(block(cat(level.name, ".0.", b), width, width));
    if (config.full_attn[static_cast<size_t>(i)])
      level.attention = attention(level.name + ".1.0", width, config.attn_depths[static_cast<size_t>(i)]);
    level.resample = conv(level.name + ".1.1", {.in = width, .out = down_width(i + 1), .stride = 2});
    downs_.push_back(std::move(level));
  }

  const int64_t middle = up_width(ups);
  mid_block1_ = block("mid_block1", middle, middle);
  mid_attn_ = attention("mid_attn", middle, config.mid_attn_depth);
  mid_block2_ = block("mid_block2", middle, middle);

  for (int64_t i = 0; i < ups; ++i) {  // widths, attention and depths from the back
    Level level{.name = cat("ups.", i)};
    const int64_t width = up_width(ups - 1 - i), from = up_width(ups - i);
    const auto back = static_cast<size_t>(static_cast<int64_t>(config.full_attn.size()) - 1 - i);
    const auto back_depth = static_cast<size_t>(static_cast<int64_t>(config.attn_depths.size()) - 1 - i);
    for (int64_t b = 0; b < kBlocks; ++b)
      level.blocks.push_back(block(cat(level.name, ".0.", b), i < downs ? 2 * width : width, width));
    level.resample = conv(level.name + ".1.0.conv", {.in = from, .out = width});
    if (config.full_attn[back]) level.attention = attention(level.name + ".1.1", width, config.attn_depths[back_depth]);
    ups_.push_back(std::move(level));
  }

  final_block_ = block("final_res_block", config.dim, config.dim);
  final_to_rgb_ = conv("final_to_rgb", {config.dim, config.channels, {1, 1}, {0, 0}});
  int64_t stream = 0;
  for (const auto& each : blocks())
    for (const int64_t size : each->style_sizes()) stream += size;
  modulation_weight_ = parameter("style_to_conv_modulations.weight", {stream, config.style_dim});
  modulation_bias_ = parameter("style_to_conv_modulations.bias", {stream});
}

std::vector<std::shared_ptr<ModulatedBlockImpl>> AuraSrImpl::blocks() const {
  std::vector<std::shared_ptr<ModulatedBlockImpl>> all;
  for (const Level& level : downs_) all.insert(all.end(), level.blocks.begin(), level.blocks.end());
  all.push_back(mid_block1_);
  all.push_back(mid_block2_);
  for (const Level& level : ups_) all.insert(all.end(), level.blocks.begin(), level.blocks.end());
  all.push_back(final_block_);
  return all;
}

at::Tensor AuraSrImpl::seen(const std::string& name, const at::Tensor& output) const {
  if (probe) probe(name, output);
  return output;
}

// z [B, Z] -> the stream of modulations.
at::Tensor AuraSrImpl::styles(const at::Tensor& z) {
  at::Tensor x = z / z.norm(2, 1, /*keepdim=*/true).clamp_min(1e-12);
  for (const auto& [weight, bias] : style_network_)
    x = at::leaky_relu(at::linear(x, weight * config_.style_lr, bias * config_.style_lr), 0.2);
  seen("style_network", x);
  return seen("style_to_conv_modulations", at::linear(x, modulation_weight_, modulation_bias_));
}

void AuraSrImpl::fold(const at::Tensor& z) {
  const at::NoGradGuard no_grad;
  Style style{styles(z.to(modulation_weight_.options()))};
  for (const auto& each : blocks()) each->fold(style.next(*each));
  folded_ = true;
}

at::Tensor AuraSrImpl::forward(const at::Tensor& tiles, const at::Tensor& noise, const at::Tensor& z) {
  Style style{styles(z)};
  return run(tiles, noise, style);
}

at::Tensor AuraSrImpl::forward(const at::Tensor& tiles, const at::Tensor& noise) {
  GIGACAT_CHECK(folded_, "no latent is folded in");
  const at::NoGradGuard no_grad;
  Style folded;
  return run(tiles, noise, folded);
}

at::Tensor AuraSrImpl::run(const at::Tensor& tiles, const at::Tensor& noise, Style& style) {
  const at::Tensor noisy = (tiles + kNoise * noise).clamp(0, 1).to(modulation_weight_.scalar_type());
  at::Tensor x = seen("init_conv", init_conv_->forward(noisy.contiguous(at::MemoryFormat::ChannelsLast)));
  const auto through = [&](const Level& level, size_t b) {
    x = style(*level.blocks[b], x);
    seen(cat(level.name, ".0.", b), x);
  };

  std::vector<at::Tensor> skips;
  for (const Level& level : downs_) {  // [B, C, s / 2^i, s / 2^i]
    for (size_t b = 0; b < level.blocks.size(); ++b) {
      through(level, b);
      skips.push_back(x);
    }
    if (level.attention) x = seen(level.name + ".1.0", level.attention->forward(x));
    x = seen(level.name + ".1.1", level.resample->forward(x));
  }
  x = seen("mid_block1", style(*mid_block1_, x));
  x = seen("mid_attn", mid_attn_->forward(x));
  x = seen("mid_block2", style(*mid_block2_, x));

  for (const Level& level : ups_) {  // from s / 2^downs to S
    x = seen(level.name + ".1.0", level.resample->forward(at::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2})));
    for (size_t b = 0; b < level.blocks.size(); ++b) {
      if (!skips.empty()) {
        x = at::cat({x, skips.back() * config_.skip_scale}, 1);
        skips.pop_back();
      }
      through(level, b);
    }
    if (level.attention) x = seen(level.name + ".1.1", level.attention->forward(x));
  }
  x = seen("final_res_block", style(*final_block_, x));
  return seen("final_to_rgb", final_to_rgb_->forward(x)).to(at::kFloat);  // [B, 3, S, S]
}

AuraSr load_aura_sr(const std::filesystem::path& path, const weights::LoadOptions& options) {
  const bool folder = std::filesystem::is_directory(path);
  const std::filesystem::path file = folder ? path / "model.safetensors" : path;
  const std::filesystem::path config = file.parent_path() / "config.json";
  if (!std::filesystem::exists(file)) fail("there is no ", file.string());
  if (!std::filesystem::exists(config))
    fail(file.string(),
         " needs the config.json that it was released with beside it: the tensors do not tell all sizes");
  AuraSr network(AuraSrConfig::parse(read_file(config, 1 << 20), config.string()));
  weights::assign(*network, weights::read_weights(file), kWanted, options);
  return network;
}

}  // namespace gigacat::models::aura_sr
