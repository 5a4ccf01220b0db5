// Letters as in the header; C channels, N kernels of a bank.
#include "models/upsampler/networks.h"

#include <ATen/Functions.h>

#include <cmath>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/text.h"
#include "gigacat/models/aura_sr/network.h"
#include "gigacat/models/aura_sr/tile_upsampler.h"
#include "gigacat/nn/state.h"
#include "gigacat/weights/weights.h"
#include "models/aura_sr/blocks.h"

namespace gigacat::models::upsampler {
namespace {

using Read = std::function<gigagan::Captions(const std::string&)>;

class UnetTileUpsampler : public TileUpsampler {
 public:
  UnetTileUpsampler(std::shared_ptr<gigagan::UpsamplerImpl> network, const TileUpsamplerSizes& sizes, bool reads_text,
                    Read read)
      : network_(std::move(network)), sizes_(sizes), reads_text_(reads_text), read_(std::move(read)) {}

  const TileUpsamplerSizes& sizes() const override { return sizes_; }

  void set_style(const at::Tensor& z, const std::string& caption) override {
    const at::NoGradGuard no_grad;
    if (!reads_text_) refuse_caption(caption);
    text_ = reads_text_ ? network_->read(read_(caption)) : gigagan::Text{};
    w_ = network_->style(z.to(network_->parameters().front().options()), text_);
  }

  at::Tensor upsample(const at::Tensor& tiles, const at::Tensor& /*noise*/) override {
    GIGACAT_CHECK(w_.defined(), "no style is set");
    const at::NoGradGuard no_grad;
    // Samples with kernels of their own cost a CPU more together than one after the other.
    if (tiles.is_cpu() && tiles.size(0) > 1) {
      std::vector<at::Tensor> large;
      for (const at::Tensor& tile : tiles.split(1)) large.push_back(upsample(tile, {}));
      return at::cat(large);
    }
    const int64_t b = tiles.size(0);
    gigagan::Text text;
    if (reads_text_) text = {text_.local.expand({b, -1, -1}), text_.mask.expand({b, -1}), text_.global.expand({b, -1})};
    const at::Tensor x = (tiles * 2 - 1).to(w_.scalar_type());
    return network_->forward(x, w_.expand({b, -1}), text) * 0.5 + 0.5;
  }

 private:
  std::shared_ptr<gigagan::UpsamplerImpl> network_;
  TileUpsamplerSizes sizes_;
  bool reads_text_;
  Read read_;
  at::Tensor w_;  // [1, V]
  gigagan::Text text_;
};

class UnetKind : public GeneratorKind {
 public:
  UnetKind(const gigagan::UpsamplerConfig& config, const std::optional<gigagan::TextConfig>& text, int64_t side,
           int64_t scale)
      : config_(config), text_(text), side_(side), scale_(scale) {}

  TileUpsamplerSizes sizes() const override {
    return {scale_,           side_, int64_t{1} << config_.down, config_.z_dim, config_.channels(side_ * scale_),
            text_.has_value()};
  }
  std::shared_ptr<torch::nn::Module> make(const nn::Init& init) const override {
    return gigagan::Upsampler(config_, text_, side_, scale_, init).ptr();
  }
  at::Tensor run(torch::nn::Module& network, const at::Tensor& x, const at::Tensor& /*noise*/, const at::Tensor& z,
                 const gigagan::Captions& captions) const override {
    auto& unet = *network.as<gigagan::Upsampler>();
    const gigagan::Text text = text_ ? unet.read(captions) : gigagan::Text{};
    return unet.forward(x, unet.style(z, text), text);
  }
  std::unique_ptr<TileUpsampler> tile_upsampler(std::shared_ptr<torch::nn::Module> network, Read read) const override {
    return std::make_unique<UnetTileUpsampler>(std::dynamic_pointer_cast<gigagan::UpsamplerImpl>(network), sizes(),
                                               text_.has_value(), std::move(read));
  }
  bool is_attention(const torch::nn::Module& /*module*/) const override { return false; }  // PyramidModel knows its own
  double flops(const torch::nn::Module& network) const override { return network.as<gigagan::Upsampler>()->flops(); }
  double activation_bytes(const torch::nn::Module& network) const override {
    return network.as<gigagan::Upsampler>()->activation_bytes();
  }

 private:
  gigagan::UpsamplerConfig config_;
  std::optional<gigagan::TextConfig> text_;
  int64_t side_, scale_;
};

// The sizes of both released versions.
aura_sr::AuraSrConfig released() {
  aura_sr::AuraSrConfig config;
  config.style_depth = 4;
  config.skip_scale = 0.4;
  return config;
}

class AuraSrKind : public GeneratorKind {
 public:
  AuraSrKind(const std::string& folder, int64_t side, int64_t scale) : folder_(folder), config_(released()) {
    if (!folder.empty()) {
      const fs::path file = fs::path(folder) / "config.json";
      config_ = aura_sr::AuraSrConfig::parse(read_file(file, 1 << 20), file.string());
    }
    if (config_.input_image_size != side || config_.scale() != scale)
      fail<UsageError>("data.resolution and model.scale: this AuraSR makes ", config_.image_size, " px of ",
                       config_.input_image_size, ", not ", side * scale, " of ", side);
  }

  TileUpsamplerSizes sizes() const override { return aura_sr::tile_sizes(config_); }

  std::shared_ptr<torch::nn::Module> make(const nn::Init& init) const override {
    aura_sr::AuraSr network(config_);
    if (!folder_.empty())
      nn::load_state(*network, weights::read_weights(fs::path(folder_) / "model.safetensors").tensors, folder_);
    for (auto& item : network->named_parameters()) {
      if (folder_.empty()) initialise(item.key(), item.value(), init);
      item.value().set_requires_grad(
          !item.key().ends_with(".attend.scale"));  // that stands in the files and is not read
    }
    return network.ptr();
  }

  at::Tensor run(torch::nn::Module& network, const at::Tensor& x, const at::Tensor& noise, const at::Tensor& z,
                 const gigagan::Captions& /*captions*/) const override {
    return network.as<aura_sr::AuraSr>()->forward(x * 0.5 + 0.5, noise, z) * 2 - 1;
  }
  std::unique_ptr<TileUpsampler> tile_upsampler(std::shared_ptr<torch::nn::Module> network,
                                                Read /*read*/) const override {
    return aura_sr::make_tile_upsampler(aura_sr::AuraSr(std::dynamic_pointer_cast<aura_sr::AuraSrImpl>(network)));
  }
  bool is_attention(const torch::nn::Module& module) const override {
    return dynamic_cast<const aura_sr::AttentionStackImpl*>(&module) != nullptr;
  }
  double flops(const torch::nn::Module& network) const override {
    double sum = 0;
    for (const auto& item : network.named_parameters()) {
      const at::Tensor& value = item.value();
      const double pixels = pixels_of(item.key());
      if (value.dim() < 2 || item.key().ends_with(".g")) continue;
      const bool bank = value.dim() == 5;
      sum += 2 * pixels * static_cast<double>(bank ? value[0].numel() : value.numel());
      if (item.key().ends_with("to_qkv.weight"))  // products of queries and keys, and of their shares and values
        sum += 4 * pixels * pixels * static_cast<double>(config_.heads * config_.head_dim);
    }
    return sum;
  }

  // Each layer keeps its input and output, a bank's convolution also the kernels of each sample, twice.
  double activation_bytes(const torch::nn::Module& network) const override {
    double floats = 0;
    for (const auto& item : network.named_parameters()) {
      const at::Tensor& value = item.value();
      if (value.dim() == 5)
        floats +=
            static_cast<double>(2 * value[0].numel()) + 2 * pixels_of(item.key()) * static_cast<double>(value.size(1));
      else if (value.dim() == 4)
        floats += pixels_of(item.key()) * static_cast<double>(value.size(0) + value.size(1));
    }
    return 4 * floats;
  }

 private:
  // Places that a part's weights are used at.
  double pixels_of(const std::string& name) const {
    const auto downs = static_cast<int64_t>(config_.down_mults.size());
    const auto level = [&name](size_t prefix) {
      return parse_int(name.substr(prefix, name.find('.', prefix) - prefix), name);
    };
    int64_t side = config_.image_size;
    if (name.starts_with("style")) return 1;
    if (name.starts_with("init_conv")) side = config_.input_image_size;
    if (name.starts_with("mid_")) side = config_.input_image_size >> downs;
    if (name.starts_with("downs."))
      side = config_.input_image_size >> (level(6) + (name.find(".1.1.") != std::string::npos ? 1 : 0));
    if (name.starts_with("ups.")) side = config_.input_image_size >> downs << (level(4) + 1);
    return static_cast<double>(side * side);
  }

  // Variance 1 / fan-in; the bank's kernels are demodulated, the style network's weights scaled in use.
  static void initialise(const std::string& name, at::Tensor& value, const nn::Init& init) {
    const at::NoGradGuard no_grad;
    if (name.ends_with(".g") || name.ends_with(".scale")) {
      value.fill_(1);
    } else if (value.dim() < 2) {
      value.zero_();
    } else {
      const bool plain = name.starts_with("style_network.") || name.ends_with(".weights");
      const double fan = static_cast<double>(value.numel() / value.size(0));
      value.copy_(init.normal(name, value.sizes(), plain ? 1 : 1 / std::sqrt(fan)));
    }
  }

  std::string folder_;
  aura_sr::AuraSrConfig config_;
};

}  // namespace

std::unique_ptr<GeneratorKind> unet_kind(const gigagan::UpsamplerConfig& config,
                                         const std::optional<gigagan::TextConfig>& text, int64_t side, int64_t scale) {
  return std::make_unique<UnetKind>(config, text, side, scale);
}

std::unique_ptr<GeneratorKind> aura_sr_kind(const std::string& folder, int64_t side, int64_t scale) {
  return std::make_unique<AuraSrKind>(folder, side, scale);
}

}  // namespace gigacat::models::upsampler
