// GAT: generator and discriminator are plain transformers; noise-perturbed guidance of every stage.
// Source: "Scalable GANs with Transformers" (arXiv 2509.24935).
#include "gigacat/losses/noise_guidance.h"
#include "gigacat/models/gat/discriminator.h"
#include "recipes/table.h"

namespace gigacat::recipes {
namespace {

class Gat : public TransformerGan {
 public:
  std::string name() const override { return "gat"; }

  void bind(config::Binder& b) override {
    b.open("model", "the two networks");
    b.section("generator", generator_config_, "transformer from a style to K images");
    b.section("discriminator", discriminator_config_, "transformer over the K images together");
    b.field("width_aware_lr", width_aware_, true, "learning rate of a network times 768 / its hidden width",
            {.source = "GAT section 4"});
    b.close();
    b.open("loss", "what the networks are trained on");
    loss_.bind(b);
    b.field("mng", mng_, true, "multi-level noise-perturbed guidance", {.source = "GAT section 3"});
    b.field("mng_min_information", min_information_, 0.125, "share of the coarsest stage that noise leaves",
            {.min = 1e-4, .max = 1, .source = "GAT section 3"});
    b.close();
  }

  torch::nn::Module& discriminator() override { return *discriminator_; }
  double generator_lr_scale() const override { return scale_of(generator_config_.hidden); }
  double discriminator_lr_scale() const override { return scale_of(discriminator_config_.hidden); }

 protected:
  void build_discriminator(const ImageShape& shape, int64_t stages, int64_t features, const nn::Init& init) override {
    discriminator_ = models::gat::Discriminator(discriminator_config_, shape, stages, features, init);
  }

  models::gat::DiscriminatorOutput judge(const at::Tensor& images, const at::Tensor& labels, int64_t aligned) override {
    return discriminator_->forward(images, labels, aligned);
  }

  at::Tensor noised(const at::Tensor& images, const Draws& draws, const std::string& purpose) override {
    if (!mng_) return images;
    const at::Tensor eps = draws.normal(purpose, {images.size(0)}, images.sizes().slice(2));  // [K, B, C, H, W]
    const int64_t copies = images.size(1) / eps.size(1);
    return losses::perturb(images, eps.repeat({1, copies, 1, 1, 1}),
                           losses::noise_levels(images.size(0), min_information_));
  }

  std::vector<at::Tensor> supervised(const at::Tensor& fakes) override { return fakes.unbind(0); }
  std::pair<double, double> discriminator_cost() const override {
    return {discriminator_->flops(), discriminator_->activation_bytes()};
  }

 private:
  double scale_of(int64_t hidden) const { return width_aware_ ? 768.0 / static_cast<double>(hidden) : 1; }

  bool mng_ = true, width_aware_ = true;
  double min_information_ = 0.125;
  models::gat::Discriminator discriminator_{nullptr};
};

}  // namespace

std::unique_ptr<Recipe> make_gat() { return std::make_unique<Gat>(); }

}  // namespace gigacat::recipes
