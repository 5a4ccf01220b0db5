#include "gigacat/models/gigagan/model.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "gigacat/models/exported_functions.h"
#include "gigacat/nn/random_draws.h"

// Letters: B batch, L levels of the pyramid, C channels, V style width, Z latent width.
namespace gigacat::models::gigagan {
namespace {

constexpr int64_t kMeanSamples = 256;  // latents of a caption's mean style

GeneratorConfig generator_config(const GigaGanConfig& config) {
  GeneratorConfig generator = config.generator;
  if (!config.attention) std::fill(generator.attention.begin(), generator.attention.end(), 0);
  return generator;
}

DiscriminatorConfig discriminator_config(const GigaGanConfig& config) {
  DiscriminatorConfig discriminator = config.discriminator;
  if (!config.attention) discriminator.attention.clear();
  return discriminator;
}

// z of the mean styles: the same for every caption.
at::Tensor truncation_latents(int64_t z_dim, at::Device device) {
  std::vector<int64_t> indices(kMeanSamples);
  std::iota(indices.begin(), indices.end(), 0);
  return nn::StreamDraws(0, 0, indices, device).normal("truncation.z", {}, {z_dim});
}

// w_mean_c of each sample's caption, [B, V].
at::Tensor mean_styles(GeneratorImpl& g, const Text& text, const std::vector<std::string>& captions, int64_t z_dim) {
  std::map<std::string, at::Tensor> means;
  const at::Tensor z = truncation_latents(z_dim, text.global.device());
  std::vector<at::Tensor> rows;
  for (size_t i = 0; i < captions.size(); ++i) {
    at::Tensor& mean = means[captions[i]];
    if (!mean.defined()) {
      const at::Tensor global = text.global[static_cast<int64_t>(i)].expand({kMeanSamples, -1});
      mean = g.style(z, {{}, {}, global}).mean(0);
    }
    rows.push_back(mean);
  }
  return at::stack(rows);
}

}  // namespace

PyramidModel::PyramidModel(const ImageShape& shape, const CaptionConfig& captions,
                           const DiscriminatorConfig& discriminator, bool has_text)
    : Model(shape),
      caption_config_(captions),
      captions_(caption_config_),
      discriminator_config_(discriminator),
      has_text_(has_text),
      levels_(std::ssize(resolutions_of(shape))) {}

void PyramidModel::build_discriminator(const std::vector<int64_t>& vision, const nn::Init& init) {
  multi_scale_ = std::make_shared<DiscriminatorImpl>(discriminator_config_, captions_.layers(), shape_, vision, init);
  discriminator_ = multi_scale_;
}

bool PyramidModel::is_attention(const torch::nn::Module& module) const {
  return dynamic_cast<const SelfAttentionImpl*>(&module) || dynamic_cast<const TextAttentionImpl*>(&module) ||
         dynamic_cast<const TextLayersImpl*>(&module);
}

void GigaGanConfig::bind(config::Binder& b) {
  b.section("text", text, "what captions become");
  b.section("generator", generator, "adaptive convolutions and attention from text and noise to a pyramid");
  b.section("discriminator", discriminator, "one trunk for every level of the pyramid");
  b.field("attention", attention, true, "attention in both networks; off: convolutions only",
          {.source = "GigaGAN table 1"});
}

std::unique_ptr<Model> GigaGanConfig::build(const ImageShape& shape, const nn::Init& init) const {
  return std::make_unique<GigaGanModel>(*this, shape, init);
}

GigaGanModel::GigaGanModel(const GigaGanConfig& config, const ImageShape& shape, const nn::Init& init)
    : PyramidModel(shape, config.text, discriminator_config(config), /*has_text=*/true),
      config_(generator_config(config)),
      resolutions_(resolutions_of(shape)),
      network_(std::make_shared<GeneratorImpl>(config_, captions_.layers(), shape, init)) {
  generator_ = network_;
}

std::shared_ptr<torch::nn::Module> GigaGanModel::make_generator(const nn::Init& init) const {
  return std::make_shared<GeneratorImpl>(config_, captions_.layers(), shape_, init);
}

Style GigaGanModel::style(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                          const SampleOptions& options) {
  const at::NoGradGuard no_grad;
  auto& g = *generator.as<Generator>();
  std::vector<std::string> captions = options.captions;
  captions.resize(static_cast<size_t>(labels.size(0)));
  const Text text = g.read(captions_.read(captions, z.device()));
  at::Tensor w = g.style(z, text);
  if (options.truncation != 1)
    w = truncate(w, g.w_avg, mean_styles(g, text, captions, config_.z_dim), options.truncation);
  return Style::of(w, text.local, text.mask);
}

at::Tensor GigaGanModel::synthesize(torch::nn::Module& generator, const Style& style, bool all_stages) {
  std::vector<at::Tensor> images = generator.as<Generator>()->synthesize(style);  // coarse first
  if (!all_stages) return images.back().unsqueeze(0);
  for (at::Tensor& image : images) image = at::upsample_nearest2d(image, {shape_.height, shape_.width});
  return at::stack(images);
}

at::Tensor GigaGanModel::rows(const Style& style) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& level : network_->synthesize(style)) all.push_back(level.flatten(1));
  return at::cat(all, 1).unsqueeze(0);
}

std::vector<at::Tensor> GigaGanModel::pyramid(const at::Tensor& rows) const {
  std::vector<at::Tensor> all;
  int64_t first = 0;
  for (const int64_t r : resolutions_) {
    const int64_t count = shape_.channels * r * r;
    all.insert(all.begin(), rows[0].narrow(1, first, count).unflatten(1, {shape_.channels, r, r}));
    first += count;
  }
  return all;
}

ExportedGenerator GigaGanModel::exported() const {
  const bool words = caption_config_.tokenizer == "words" || caption_config_.clip_vocabulary.empty();
  return {.functions = exported_functions("gigagan"),
          .inputs = {"tokens", "end"},
          .numbers = {{"conv_gain", config_.conv_gain},
                      {"attention_gain", config_.attention_gain},
                      {"mapping_lr", config_.mapping_lr},
                      {"head_dim", static_cast<double>(config_.head_dim)},
                      {"text_heads", static_cast<double>(caption_config_.layers.heads)},
                      {"cross_l2", config_.cross_logits == "l2" ? 1.0 : 0.0}},
          .z_dim = config_.z_dim,
          .text = ExportedText{caption_config_.encoder, words ? "words" : "bpe", captions_.layers().length},
          .constants = {{"truncation_z", truncation_latents(config_.z_dim, at::kCPU)}}};
}

}  // namespace gigacat::models::gigagan
