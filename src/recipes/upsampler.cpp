// GigaGAN's upsampler: an image made small, made large again, and judged at every scale beside the one it was.
// Source: "Scaling up GANs for Text-to-Image Synthesis" (arXiv 2303.05511) section 3.6.
#include <ATen/Functions.h>

#include "gigacat/core/error.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/pretrained/lpips.h"
#include "gigacat/weights/known_weights.h"
#include "recipes/multi_scale_gan.h"
#include "recipes/table.h"
#include "recipes/upsampler_networks.h"

// Letters: B batch, s and S side of the small and the large image, Z width of z, n examples.
namespace gigacat::recipes {
namespace {

namespace gigagan = models::gigagan;

constexpr int64_t kExamples = 64;  // images that samples are drawn of

// What holds the large image to the one it was made of.
struct FidelityLoss {
  double lpips, pixel;
  std::string lpips_backbone, lpips_heads, pixel_norm;

  void bind(config::Binder& b) {
    b.field("lpips", lpips, 10.0, "weight of LPIPS to the real image; 0: off",
            {.min = 0, .source = "appendix: 10 to 100"});
    b.field("lpips_backbone", lpips_backbone, "vgg16", "VGG16 or AlexNet of LPIPS: a file or a known name");
    b.field("lpips_heads", lpips_heads, "", "heads of LPIPS (lin0.model.1.weight, ...): a file");
    b.field("pixel", pixel, 0.0, "weight of the distance to the real image's pixels; 0: off",
            {.min = 0, .source = "open"});
    b.field("pixel_norm", pixel_norm, "l1", "mean of absolute (l1) or squared (l2) differences",
            {.choices = {"l1", "l2"}});
  }
};

// dB, images [B, 3, H, W] in [-1, 1] -> [B].
at::Tensor psnr(const at::Tensor& a, const at::Tensor& b) {
  return (a.clamp(-1, 1) - b).to(at::kFloat).square().flatten(1).mean(1).clamp_min(1e-10).div(4).log10() * -10;
}

at::Tensor resized(const at::Tensor& x, int64_t side) {
  return at::_upsample_bicubic2d_aa(x, {side, side}, /*align_corners=*/false);
}

class Upsampler : public MultiScaleGan {
 public:
  Upsampler() { has_text_ = false; }
  std::string name() const override { return "upsampler"; }

  void bind(config::Binder& b) override {
    b.open("model", "the two networks");
    b.field("kind", kind_, "unet", "unet: GigaGAN's; aura_sr: AuraSR's, whose released weights can be trained further",
            {.choices = {"unet", "aura_sr"}});
    b.field("scale", scale_, 4, "pixels out for a pixel in, along a side", {.min = 2, .max = 64});
    b.field("conditioned", has_text_, false, "both networks are told the captions; off: they see images alone",
            {.source = "GigaGAN section 3.6: on for text-to-image"});
    b.field("aura_sr", aura_sr_, "",
            "of kind aura_sr: folder with the config.json and model.safetensors to begin with; empty: random weights");
    b.field("downscale", downscale_, "bicubic", "how small images are made: PIL's bicubic, or means of squares",
            {.choices = {"bicubic", "box"}, .source = "open"});
    b.field(
        "noise", noise_, 0.1,
        "Gaussian noise on the input: its standard deviation is drawn for each image between 0 and this; images are "
        "in [-1, 1]",
        {.min = 0, .source = "GigaGAN section 3.6: moderate; open"});
    b.section("text", captions_, "what captions become, of conditioned models");
    b.section("generator", unet_, "asymmetric U-Net, of kind unet");
    b.section("discriminator", discriminator_config_, "one trunk for every level of the pyramid");
    b.check("conditioned", [this] { return has_text_ && kind_ == "aura_sr" ? "AuraSR takes no text" : ""; });
    b.close();
    b.open("loss", "what the networks are trained on");
    loss_.bind(b);
    fidelity_.bind(b);
    b.check("clip", [this] { return loss_.clip > 0 && !has_text_ ? "needs model.conditioned" : ""; });
    b.close();
  }

  void build(const ImageShape& shape, uint64_t seed) override {
    if (shape.channels != 3)
      fail<UsageError>("data.channels: an upsampler takes RGB, not ", shape.channels, " channels");
    if (shape.height % scale_ != 0) fail<UsageError>("model.scale: ", shape.height, " px are no multiple of ", scale_);
    side_ = shape.height / scale_;
    build_discriminator(shape, seed);
    std::optional<gigagan::TextConfig> text;
    if (has_text_) text = captions_.layers;
    network_ = kind_ == "unet" ? unet_network(unet_, text, side_, scale_) : aura_sr_network(aura_sr_, side_, scale_);
    generator_ = network_->make(nn::Init(seed, "G"));
  }

  torch::nn::Module& generator() override { return *generator_; }
  std::shared_ptr<torch::nn::Module> make_generator() override { return network_->make(nn::Init::zeros()); }
  std::vector<std::string> prompts() const override {
    return has_text_ ? examples_.captions : std::vector<std::string>{};
  }

  // Large images of the batch's, made small: [1, B, 3, S, S].
  at::Tensor generate(const Batch& batch, bool with_graph) override {
    at::AutoGradMode grad(with_graph);
    const Draws& draws = *batch.draws;
    const std::vector<int64_t> pixels{3, side_, side_};
    at::Tensor x = small(batch.images);  // [B, 3, s, s]
    if (noise_ > 0) {
      const at::Tensor strength = draws.uniform("input.noise.strength", {}) * noise_;
      x = x + draws.normal("input.noise", {}, pixels) * strength.view({-1, 1, 1, 1});
    }
    const at::Tensor z = draws.normal("z", {}, {network_->sizes().z_dim});
    const gigagan::Captions captions = read(batch).captions;
    return network_->run(*generator_, x, draws.normal("network.noise", {}, pixels), z, &captions).unsqueeze(0);
  }

  std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor& /*fakes*/) override { return {}; }

  int64_t wanted_examples() const override { return kExamples; }
  void show(const Batch& examples) override {
    examples_ = {small(examples.images), examples.captions};
    if (has_text_ && examples_.captions.empty())
      fail<UsageError>("data.captions: a conditioned upsampler learns from captions: set it to true");
  }

  // z, and the example that a sample is made of: [B, Z + 3 s s].
  at::Tensor latent(uint64_t seed, const std::vector<int64_t>& indices, at::Device device) override {
    if (!examples_.small.defined())
      fail<UsageError>("recipe upsampler makes images of images: use gigacat upsample, or sample --upsampler");
    const at::Tensor z = StreamDraws(seed, 0, indices, device).normal("sample.z", {}, {network_->sizes().z_dim});
    const at::Tensor places = at::tensor(indices, at::kLong).remainder(examples_.small.size(0));
    return at::cat({z, examples_.small.index_select(0, places.to(examples_.small.device())).flatten(1).to(device)}, 1);
  }

  // With all stages the small image stands first, as large as the other.
  at::Tensor sample(torch::nn::Module& generator, const at::Tensor& latents, const at::Tensor& /*labels*/,
                    const SampleOptions& options) override {
    at::NoGradGuard no_grad;
    const int64_t z_dim = network_->sizes().z_dim;
    const at::Tensor z = latents.narrow(1, 0, z_dim);
    const at::Tensor x = latents.narrow(1, z_dim, 3 * side_ * side_).unflatten(1, {3, side_, side_});
    std::vector<std::string> texts = options.captions;
    texts.resize(static_cast<size_t>(z.size(0)));
    const gigagan::Captions captions = reader_.read(texts, z.device());
    const at::Tensor large = network_->run(generator, x, at::zeros_like(x), z, &captions);
    if (!options.all_stages) return large.unsqueeze(0);
    return at::stack({at::upsample_nearest2d(x, {large.size(2), large.size(3)}), large});
  }

  std::unique_ptr<Enlarger> enlarger() override {
    const auto read = [this](const std::string& caption) {
      return reader_.read({caption}, generator_->parameters().front().device());
    };
    return network_->enlarger(generator_, read);
  }

  Cost cost() const override {
    return cost_with(network_->flops(*generator_), network_->activation_bytes(*generator_));
  }

 private:
  // What the network is given of real images [B, 3, S, S]: [B, 3, s, s], of 8 bits as files are.
  at::Tensor small(const at::Tensor& images) const {
    at::NoGradGuard no_grad;
    const at::Tensor x = downscale_ == "box" ? at::avg_pool2d(images, scale_) : resized(images, side_);
    return ((x.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1;
  }

  std::vector<at::Tensor> pyramid(const at::Tensor& fakes) const override {
    return gigagan::image_pyramid(fakes[0], levels());
  }

  void add_generator_losses(const Batch& batch, const at::Tensor& fakes, Loss& loss) override {
    const at::Tensor &fake = fakes[0], &real = batch.images;
    const nn::FloatIsland island(fake);
    if (fidelity_.lpips > 0) add(loss, "g_lpips", lpips(fake.device())(fake, real).mean(), fidelity_.lpips);
    if (fidelity_.pixel > 0) {
      const at::Tensor off = fake - real;
      add(loss, "g_pixel", (fidelity_.pixel_norm == "l1" ? off.abs() : off.square()).mean(), fidelity_.pixel);
    }
    at::NoGradGuard no_grad;
    loss.terms.emplace_back("psnr", psnr(fake, real));
    loss.terms.emplace_back("psnr_bicubic", psnr(resized(small(real), real.size(2)), real));
  }

  pretrained::Lpips& lpips(at::Device device) {
    if (!lpips_.is_empty()) return lpips_;
    if (fidelity_.lpips_heads.empty())
      fail<UsageError>("loss.lpips_heads: no heads of LPIPS are given; loss.lpips=0 trains without it");
    const auto weights = [](const std::string& file) { return weights::read_weights(weights::locate(file)); };
    lpips_ =
        pretrained::load_lpips(weights(fidelity_.lpips_backbone), weights(fidelity_.lpips_heads), {.device = device});
    return lpips_;
  }

  struct Examples {
    at::Tensor small;  // [n, 3, s, s]
    std::vector<std::string> captions;
  };

  gigagan::UpsamplerConfig unet_{};
  FidelityLoss fidelity_{};
  std::string kind_, aura_sr_, downscale_;
  int64_t scale_ = 4, side_ = 0;
  double noise_ = 0;
  std::unique_ptr<UpsamplerNetwork> network_;
  std::shared_ptr<torch::nn::Module> generator_;
  pretrained::Lpips lpips_{nullptr};
  Examples examples_;
};

}  // namespace

std::unique_ptr<Recipe> make_upsampler() { return std::make_unique<Upsampler>(); }

}  // namespace gigacat::recipes
