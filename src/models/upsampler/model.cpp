#include "gigacat/models/upsampler/model.h"

#include <ATen/Functions.h>

#include "gigacat/core/error.h"
#include "gigacat/nn/random_draws.h"
#include "models/upsampler/networks.h"

namespace gigacat::models::upsampler {
namespace {

int64_t small_side(const UpsamplerConfig& config, const ImageShape& shape) {
  if (shape.channels != 3) fail<UsageError>("data.channels: an upsampler takes RGB, not ", shape.channels, " channels");
  if (shape.height % config.scale != 0)
    fail<UsageError>("model.scale: ", shape.height, " px are no multiple of ", config.scale);
  return shape.height / config.scale;
}

}  // namespace

void UpsamplerConfig::bind(config::Binder& b) {
  b.field("kind", kind, "unet", "unet: GigaGAN's; aura_sr: AuraSR's, whose released weights can be trained further",
          {.choices = {"unet", "aura_sr"}});
  b.field("scale", scale, 4, "pixels out for a pixel in, along a side", {.min = 2, .max = 64});
  b.field("conditioned", conditioned, false, "both networks read the captions; off: they see images only",
          {.source = "GigaGAN section 3.6: on for text-to-image"});
  b.field("aura_sr", aura_sr, "",
          "of kind aura_sr: folder with the config.json and model.safetensors to begin with; empty: random weights");
  b.field("downscale", downscale, "bicubic", "how small images are made: PIL's bicubic, or means of squares",
          {.choices = {"bicubic", "box"}, .source = "open"});
  b.field("noise", noise, 0.1,
          "Gaussian noise on the input: its standard deviation is drawn for each image between 0 and this; images are "
          "in [-1, 1]",
          {.min = 0, .source = "GigaGAN section 3.6: moderate; open"});
  b.section("text", text, "what captions become, of conditioned models");
  b.section("generator", unet, "asymmetric U-Net, of kind unet");
  b.section("discriminator", discriminator, "one trunk for every level of the pyramid");
  b.check("conditioned", [this] { return conditioned && kind == "aura_sr" ? "AuraSR takes no text" : ""; });
}

std::unique_ptr<Model> UpsamplerConfig::build(const ImageShape& shape, const nn::Init& init) const {
  return std::make_unique<UpsamplerModel>(*this, shape, init);
}

at::Tensor resized(const at::Tensor& x, int64_t side) {
  return at::_upsample_bicubic2d_aa(x, {side, side}, /*align_corners=*/false);
}

UpsamplerModel::UpsamplerModel(const UpsamplerConfig& config, const ImageShape& shape, const nn::Init& init)
    : PyramidModel(shape, config.text, config.discriminator, config.conditioned),
      config_(config),
      side_(small_side(config, shape)) {
  std::optional<gigagan::TextConfig> text;
  if (config.conditioned) text = captions_.layers();
  kind_ = config.kind == "unet" ? unet_kind(config.unet, text, side_, config.scale)
                                : aura_sr_kind(config.aura_sr, side_, config.scale);
  generator_ = kind_->make(init);
}

UpsamplerModel::~UpsamplerModel() = default;

std::shared_ptr<torch::nn::Module> UpsamplerModel::make_generator(const nn::Init& init) const {
  return kind_->make(init);
}

std::vector<std::string> UpsamplerModel::prompts() const {
  return has_text() ? example_captions_ : std::vector<std::string>{};
}

int64_t UpsamplerModel::z_dim() const { return kind_->sizes().z_dim; }

at::Tensor UpsamplerModel::small(const at::Tensor& images) const {
  const at::NoGradGuard no_grad;
  const at::Tensor x = config_.downscale == "box" ? at::avg_pool2d(images, config_.scale) : resized(images, side_);
  return ((x.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1;
}

at::Tensor UpsamplerModel::run(torch::nn::Module& generator, const at::Tensor& x, const at::Tensor& noise,
                               const at::Tensor& z, const gigagan::Captions& captions) const {
  return kind_->run(generator, x, noise, z, captions);
}

void UpsamplerModel::set_examples(const at::Tensor& images, const std::vector<std::string>& captions) {
  examples_ = small(images);
  example_captions_ = captions;
  if (has_text() && captions.empty())
    fail<UsageError>("data.captions: a conditioned upsampler learns from captions: set it to true");
}

at::Tensor UpsamplerModel::latents(uint64_t seed, const std::vector<int64_t>& indices, at::Device device) const {
  if (!examples_.defined())
    fail<UsageError>("recipe upsampler makes images of images: use gigacat upsample, or sample --upsampler");
  const at::Tensor z = Model::latents(seed, indices, device);
  const at::Tensor places = at::tensor(indices, at::kLong).remainder(examples_.size(0));
  return at::cat({z, examples_.index_select(0, places.to(examples_.device())).flatten(1).to(device)}, 1);
}

at::Tensor UpsamplerModel::sample(torch::nn::Module& generator, const at::Tensor& latents, const at::Tensor& /*labels*/,
                                  const SampleOptions& options) {
  const at::NoGradGuard no_grad;
  const at::Tensor z = latents.narrow(1, 0, z_dim());
  const at::Tensor x = latents.narrow(1, z_dim(), 3 * side_ * side_).unflatten(1, {3, side_, side_});
  std::vector<std::string> texts = options.captions;
  texts.resize(static_cast<size_t>(z.size(0)));
  const at::Tensor large = run(generator, x, at::zeros_like(x), z, captions_.read(texts, z.device()));
  if (!options.all_stages) return large.unsqueeze(0);
  return at::stack({at::upsample_nearest2d(x, {large.size(2), large.size(3)}), large});
}

std::unique_ptr<TileUpsampler> UpsamplerModel::tile_upsampler() {
  const auto read = [this](const std::string& caption) {
    return captions_.read({caption}, generator_->parameters().front().device());
  };
  return kind_->tile_upsampler(generator_, read);
}

std::vector<at::Tensor> UpsamplerModel::pyramid(const at::Tensor& fakes) const {
  return gigagan::image_pyramid(fakes[0], levels());
}

bool UpsamplerModel::is_attention(const torch::nn::Module& module) const {
  return PyramidModel::is_attention(module) || kind_->is_attention(module);
}

NetworkCost UpsamplerModel::generator_cost() const {
  return {kind_->flops(*generator_), kind_->activation_bytes(*generator_)};
}

}  // namespace gigacat::models::upsampler
