// CAT: every scale is judged on its own, and a consistency loss pulls the stages toward the last.
// Source: "Cross-scale Aligned Supervision for Training GANs" (arXiv 2605.26449).
#include "gigacat/losses/trajectory.h"
#include "gigacat/models/cat/discriminator.h"
#include "recipes/table.h"

namespace gigacat::recipes {
namespace {

class Cat : public TransformerGan {
 public:
  std::string name() const override { return "cat"; }

  void bind(config::Binder& b) override {
    b.open("model", "the two networks");
    b.section("generator", generator_config_, "transformer from a style to K images");
    b.section("discriminator", discriminator_config_, "transformer over each scale by itself");
    b.section("scales", scale_config_, "what the discriminator sees of each stage");
    b.close();
    b.open("loss", "what the networks are trained on");
    loss_.bind(b);
    b.field("consistency", lambda_, 1.0, "weight lambda of the consistency loss; 0 turns it off",
            {.min = 0, .source = "CAT, open"});
    b.field("consistency_weights", weights_, {0.25, 0.5, 1.0}, "a_k of the stages before the last, coarse first",
            {.min = 0, .source = "CAT, open"});
    b.field("anchor", anchor_, "detached", "whether the last stage is pulled toward the others too",
            {.choices = {"detached", "attached"}, .source = "CAT, open"});
    b.field("align_scales", align_scales_, "all", "scales that are aligned with the frozen features",
            {.choices = {"all", "last"}, .source = "CAT, open"});
    b.field("trajectory_back", back_, "bilinear", "how the diagnostics bring a scale back to full size",
            {.choices = {"bilinear", "nearest"}, .source = "CAT, open"});
    b.check("consistency_weights", [this] {
      const int64_t wanted = generator_config_.stages - 1;
      if (lambda_ == 0 || static_cast<int64_t>(weights_.size()) == wanted) return std::string();
      return gigacat::cat(weights_.size(), " weights for ", wanted, " stages before the last");
    });
    b.close();
  }

  torch::nn::Module& discriminator() override { return *discriminator_; }

 protected:
  void build_discriminator(const ImageShape& shape, int64_t stages, int64_t features, const nn::Init& init) override {
    discriminator_ = models::cat::Discriminator(discriminator_config_, scale_config_, shape, stages, features, init);
  }

  models::gat::DiscriminatorOutput judge(const at::Tensor& images, const at::Tensor& labels, int64_t aligned) override {
    return discriminator_->forward(images, labels, aligned, align_scales_ == "last");
  }

  void add_generator_losses(const at::Tensor& fakes, Loss& loss) override {
    if (lambda_ == 0 || fakes.size(0) < 2) return;
    const at::Tensor terms = losses::consistency_terms(fakes, anchor_ == "detached");  // [K - 1]
    const at::Tensor consistency = (terms * at::tensor(weights_, terms.options())).sum();
    loss.total = loss.total + lambda_ * consistency;
    loss.terms.emplace_back("consistency", consistency.detach());
  }

  std::vector<at::Tensor> supervised(const at::Tensor& fakes) override { return discriminator_->scaled(fakes); }
  std::pair<double, double> discriminator_cost() const override {
    return {discriminator_->flops(), discriminator_->activation_bytes()};
  }
  std::string diagnostics_back() const override { return back_; }

 private:
  models::cat::ScaleConfig scale_config_{};
  double lambda_ = 1;
  std::vector<double> weights_;
  std::string anchor_, align_scales_, back_;
  models::cat::Discriminator discriminator_{nullptr};
};

}  // namespace

std::unique_ptr<Recipe> make_cat() { return std::make_unique<Cat>(); }

}  // namespace gigacat::recipes
