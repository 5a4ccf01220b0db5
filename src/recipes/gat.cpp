// GAT: generator and discriminator are plain transformers; noise-perturbed guidance of every stage.
// Source: "Scalable GANs with Transformers" (arXiv 2509.24935).
#include "gigacat/losses/noise_guidance.h"
#include "gigacat/recipes/transformer_gan.h"
#include "recipes/table.h"

namespace gigacat::recipes {
namespace {

struct GatLoss : TransformerGanLoss {
  bool mng = true;
  double mng_min_information = 0.125;

  void bind(config::Binder& b) override {
    TransformerGanLoss::bind(b);
    b.field("mng", mng, true, "multi-level noise-perturbed guidance", {.source = "GAT section 3"});
    b.field("mng_min_information", mng_min_information, 0.125, "share of the coarsest stage that noise leaves",
            {.min = 1e-4, .max = 1, .source = "GAT section 3"});
  }
  std::unique_ptr<Recipe> build(models::Model& model, const nn::Init& init) const override;
};

class Gat : public TransformerGan {
 public:
  Gat(const GatLoss& loss, models::Model& model, const nn::Init& init)
      : TransformerGan(loss, model, init), loss_(loss) {}

 protected:
  at::Tensor noised(const at::Tensor& images, const nn::RandomDraws& draws, const std::string& purpose) override {
    if (!loss_.mng) return images;
    const at::Tensor eps = draws.normal(purpose, {images.size(0)}, images.sizes().slice(2));  // [K, B, C, H, W]
    const int64_t copies = images.size(1) / eps.size(1);
    return losses::perturb(images, eps.repeat({1, copies, 1, 1, 1}),
                           losses::noise_levels(images.size(0), loss_.mng_min_information));
  }

 private:
  const GatLoss& loss_;
};

std::unique_ptr<Recipe> GatLoss::build(models::Model& model, const nn::Init& init) const {
  return std::make_unique<Gat>(*this, model, init);
}

}  // namespace

GanConfig make_gat() { return {std::make_unique<models::gat::GatConfig>(), std::make_unique<GatLoss>()}; }

}  // namespace gigacat::recipes
