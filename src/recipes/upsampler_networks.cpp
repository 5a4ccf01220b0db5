// Letters as in the header; C channels, N kernels of a bank.
#include "recipes/upsampler_networks.h"

#include <ATen/Functions.h>

#include <cmath>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/text.h"
#include "gigacat/nn/state.h"

namespace gigacat::recipes {
namespace {

namespace gigagan = models::gigagan;
using Read = std::function<gigagan::Captions(const std::string&)>;

void refuse_caption(const std::string& caption) {
  if (!caption.empty()) fail<UsageError>("a caption is given, but this upsampler has learned without text");
}

class UnetEnlarger : public Enlarger {
 public:
  UnetEnlarger(std::shared_ptr<gigagan::UpsamplerImpl> network, const EnlargerSizes& sizes, bool is_told, Read read)
      : network_(std::move(network)), sizes_(sizes), is_told_(is_told), read_(std::move(read)) {}

  const EnlargerSizes& sizes() const override { return sizes_; }

  void fix(const at::Tensor& z, const std::string& caption) override {
    const at::NoGradGuard no_grad;
    if (!is_told_) refuse_caption(caption);
    text_ = is_told_ ? network_->read(read_(caption)) : gigagan::Text{};
    w_ = network_->style(z.to(network_->parameters().front().options()), text_);
  }

  at::Tensor enlarge(const at::Tensor& tiles, const at::Tensor& /*noise*/) override {
    GIGACAT_CHECK(w_.defined(), "no latent is fixed");
    const at::NoGradGuard no_grad;
    // Samples with kernels of their own cost a CPU more together than one after the other.
    if (tiles.is_cpu() && tiles.size(0) > 1) {
      std::vector<at::Tensor> large;
      for (const at::Tensor& tile : tiles.split(1)) large.push_back(enlarge(tile, {}));
      return at::cat(large);
    }
    const int64_t b = tiles.size(0);
    gigagan::Text text;
    if (is_told_) text = {text_.local.expand({b, -1, -1}), text_.mask.expand({b, -1}), text_.global.expand({b, -1})};
    const at::Tensor x = (tiles * 2 - 1).to(w_.scalar_type());
    return network_->forward(x, w_.expand({b, -1}), text) * 0.5 + 0.5;
  }

 private:
  std::shared_ptr<gigagan::UpsamplerImpl> network_;
  EnlargerSizes sizes_;
  bool is_told_;
  Read read_;
  at::Tensor w_;  // [1, V]
  gigagan::Text text_;
};

class UnetNetwork : public UpsamplerNetwork {
 public:
  UnetNetwork(const gigagan::UpsamplerConfig& config, const std::optional<gigagan::TextConfig>& text, int64_t side,
              int64_t scale)
      : config_(config), text_(text), side_(side), scale_(scale) {}

  EnlargerSizes sizes() const override {
    return {scale_,           side_, int64_t{1} << config_.down, config_.z_dim, config_.channels(side_ * scale_),
            text_.has_value()};
  }
  std::shared_ptr<torch::nn::Module> make(const nn::Init& init) const override {
    return gigagan::Upsampler(config_, text_, side_, scale_, init).ptr();
  }
  at::Tensor run(torch::nn::Module& network, const at::Tensor& x, const at::Tensor& /*noise*/, const at::Tensor& z,
                 const gigagan::Captions* captions) const override {
    auto& unet = *network.as<gigagan::Upsampler>();
    const gigagan::Text text = captions && text_ ? unet.read(*captions) : gigagan::Text{};
    return unet.forward(x, unet.style(z, text), text);
  }
  std::unique_ptr<Enlarger> enlarger(std::shared_ptr<torch::nn::Module> network, Read read) const override {
    return std::make_unique<UnetEnlarger>(std::dynamic_pointer_cast<gigagan::UpsamplerImpl>(network), sizes(),
                                          text_.has_value(), std::move(read));
  }
  double flops(torch::nn::Module& network) const override { return network.as<gigagan::Upsampler>()->flops(); }
  double activation_bytes(torch::nn::Module& network) const override {
    return network.as<gigagan::Upsampler>()->activation_bytes();
  }

 private:
  gigagan::UpsamplerConfig config_;
  std::optional<gigagan::TextConfig> text_;
  int64_t side_, scale_;
};

EnlargerSizes sizes_of(const models::aura_sr::AuraSrConfig& config) {
  return {config.scale(), config.input_image_size, int64_t{1} << config.down_mults.size(), config.z_dim, config.dim};
}

class AuraSrEnlarger : public Enlarger {
 public:
  explicit AuraSrEnlarger(models::aura_sr::AuraSr network)
      : network_(std::move(network)), sizes_(sizes_of(network_->config())) {}
  const EnlargerSizes& sizes() const override { return sizes_; }
  void fix(const at::Tensor& z, const std::string& caption) override {
    refuse_caption(caption);
    network_->fold(z);
  }
  at::Tensor enlarge(const at::Tensor& tiles, const at::Tensor& noise) override {
    return network_->forward(tiles, noise);
  }

 private:
  models::aura_sr::AuraSr network_;
  EnlargerSizes sizes_;
};

// The sizes of both released versions.
models::aura_sr::AuraSrConfig released() {
  models::aura_sr::AuraSrConfig config;
  config.style_depth = 4;
  config.skip_scale = 0.4;
  return config;
}

class AuraSrNetwork : public UpsamplerNetwork {
 public:
  AuraSrNetwork(const std::string& folder, int64_t side, int64_t scale) : folder_(folder), config_(released()) {
    if (!folder.empty()) {
      const fs::path file = fs::path(folder) / "config.json";
      config_ = models::aura_sr::AuraSrConfig::parse(read_file(file, 1 << 20), file.string());
    }
    if (config_.input_image_size != side || config_.scale() != scale)
      fail<UsageError>("data.resolution and model.scale: this AuraSR makes ", config_.image_size, " px of ",
                       config_.input_image_size, ", not ", side * scale, " of ", side);
  }

  EnlargerSizes sizes() const override { return sizes_of(config_); }

  std::shared_ptr<torch::nn::Module> make(const nn::Init& init) const override {
    models::aura_sr::AuraSr network(config_);
    if (!folder_.empty())
      nn::load_state(*network, weights::read_weights(fs::path(folder_) / "model.safetensors").tensors, folder_);
    for (auto& item : network->named_parameters()) {
      if (folder_.empty()) begin(item.key(), item.value(), init);
      item.value().set_requires_grad(
          !item.key().ends_with(".attend.scale"));  // that stands in the files and is not read
    }
    return network.ptr();
  }

  at::Tensor run(torch::nn::Module& network, const at::Tensor& x, const at::Tensor& noise, const at::Tensor& z,
                 const gigagan::Captions* /*captions*/) const override {
    return network.as<models::aura_sr::AuraSr>()->forward(x * 0.5 + 0.5, noise, z) * 2 - 1;
  }
  std::unique_ptr<Enlarger> enlarger(std::shared_ptr<torch::nn::Module> network, Read /*read*/) const override {
    return std::make_unique<AuraSrEnlarger>(
        models::aura_sr::AuraSr(std::dynamic_pointer_cast<models::aura_sr::AuraSrImpl>(network)));
  }
  double flops(torch::nn::Module& network) const override {
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
  double activation_bytes(torch::nn::Module& network) const override {
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
  static void begin(const std::string& name, at::Tensor& value, const nn::Init& init) {
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
  models::aura_sr::AuraSrConfig config_;
};

}  // namespace

std::unique_ptr<UpsamplerNetwork> unet_network(const gigagan::UpsamplerConfig& config,
                                               const std::optional<gigagan::TextConfig>& text, int64_t side,
                                               int64_t scale) {
  return std::make_unique<UnetNetwork>(config, text, side, scale);
}

std::unique_ptr<UpsamplerNetwork> aura_sr_network(const std::string& folder, int64_t side, int64_t scale) {
  return std::make_unique<AuraSrNetwork>(folder, side, scale);
}

std::unique_ptr<Enlarger> load_aura_sr_enlarger(const std::filesystem::path& path,
                                                const weights::LoadOptions& options) {
  return std::make_unique<AuraSrEnlarger>(models::aura_sr::load_aura_sr(path, options));
}

}  // namespace gigacat::recipes
