// GigaGAN's upsampler: an image made small, made large again, and compared at every scale with the one it was.
// Source: "Scaling up GANs for Text-to-Image Synthesis" (arXiv 2303.05511) section 3.6.
#include <ATen/Functions.h>

#include "gigacat/core/error.h"
#include "gigacat/models/upsampler/model.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/pretrained/lpips.h"
#include "gigacat/weights/known_weights.h"
#include "gigacat/weights/weights.h"
#include "recipes/multi_scale_gan.h"
#include "recipes/table.h"

// Letters: B batch, s and S side of the small and the large image.
namespace gigacat::recipes {
namespace {

using models::upsampler::UpsamplerModel;

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

struct UpsamplerLoss : GigaGanLoss {
  explicit UpsamplerLoss(const models::upsampler::UpsamplerConfig& of) : model(of) {}
  const models::upsampler::UpsamplerConfig& model;
  FidelityLoss fidelity{};

  void bind(config::Binder& b) override {
    GigaGanLoss::bind(b);
    fidelity.bind(b);
    b.check("clip", [this] { return clip > 0 && !model.conditioned ? "needs model.conditioned" : ""; });
  }
  std::unique_ptr<Recipe> build(models::Model& network, const nn::Init& init) const override;
};

class Upsampler : public MultiScaleGan {
 public:
  Upsampler(const UpsamplerLoss& loss, UpsamplerModel& model, const nn::Init& init)
      : MultiScaleGan(loss, model, init), loss_(loss), model_(model) {}

  // Large images of the batch's, made small: [1, B, 3, S, S].
  at::Tensor generate(const Batch& batch, bool with_graph) override {
    const at::AutoGradMode grad(with_graph);
    const nn::RandomDraws& draws = *batch.draws;
    const std::vector<int64_t> pixels{3, model_.side(), model_.side()};
    at::Tensor x = model_.small(batch.images);  // [B, 3, s, s]
    if (model_.noise() > 0) {
      const at::Tensor strength = draws.uniform("input.noise.strength", {}) * model_.noise();
      x = x + draws.normal("input.noise", {}, pixels) * strength.view({-1, 1, 1, 1});
    }
    const at::Tensor z = draws.normal("z", {}, {model_.z_dim()});
    return model_.run(model_.generator(), x, draws.normal("network.noise", {}, pixels), z, read(batch)).unsqueeze(0);
  }

 private:
  void add_generator_losses(const Batch& batch, const at::Tensor& fakes, Loss& loss) override {
    const at::Tensor &fake = fakes[0], &real = batch.images;
    const nn::FloatIsland island(fake);
    if (loss_.fidelity.lpips > 0) add(loss, "g_lpips", lpips(fake.device())(fake, real).mean(), loss_.fidelity.lpips);
    if (loss_.fidelity.pixel > 0) {
      const at::Tensor off = fake - real;
      add(loss, "g_pixel", (loss_.fidelity.pixel_norm == "l1" ? off.abs() : off.square()).mean(), loss_.fidelity.pixel);
    }
    at::NoGradGuard no_grad;
    loss.terms.emplace_back("psnr", psnr(fake, real));
    loss.terms.emplace_back("psnr_bicubic", psnr(models::upsampler::resized(model_.small(real), real.size(2)), real));
  }

  pretrained::Lpips& lpips(at::Device device) {
    if (!lpips_.is_empty()) return lpips_;
    if (loss_.fidelity.lpips_heads.empty())
      fail<UsageError>("loss.lpips_heads: no heads of LPIPS are given; loss.lpips=0 trains without it");
    const auto weights = [](const std::string& file) { return weights::read_weights(weights::locate(file)); };
    lpips_ = pretrained::load_lpips(weights(loss_.fidelity.lpips_backbone), weights(loss_.fidelity.lpips_heads),
                                    {.device = device});
    return lpips_;
  }

  const UpsamplerLoss& loss_;
  UpsamplerModel& model_;
  pretrained::Lpips lpips_{nullptr};
};

std::unique_ptr<Recipe> UpsamplerLoss::build(models::Model& network, const nn::Init& init) const {
  return std::make_unique<Upsampler>(*this, dynamic_cast<UpsamplerModel&>(network), init);
}

}  // namespace

GanConfig make_upsampler() {
  auto model = std::make_unique<models::upsampler::UpsamplerConfig>();
  auto loss = std::make_unique<UpsamplerLoss>(*model);
  return {std::move(model), std::move(loss)};
}

}  // namespace gigacat::recipes
