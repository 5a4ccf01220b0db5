// CAT: every scale is judged on its own, and a consistency loss pulls the stages toward the last.
// Source: "Cross-scale Aligned Supervision for Training GANs" (arXiv 2605.26449).
#include "gigacat/losses/trajectory.h"
#include "gigacat/models/cat/model.h"
#include "gigacat/recipes/transformer_gan.h"
#include "recipes/table.h"

namespace gigacat::recipes {
namespace {

struct CatLoss : TransformerGanLoss {
  explicit CatLoss(const models::cat::CatConfig& of) : model(of) {}
  const models::cat::CatConfig& model;
  double consistency = 0.1;
  std::vector<double> consistency_weights;
  std::string anchor, align_scales, back, consistency_reduction;

  void bind(config::Binder& b) override {
    TransformerGanLoss::bind(b);
    b.field("consistency", consistency, 0.1, "weight lambda of the consistency loss; 0 turns it off",
            {.min = 0, .source = "CAT; the number is a re-implementation's"});
    b.field("consistency_weights", consistency_weights, {1.0 / 3, 0.5, 1.0},
            "a_k of the stages before the last, coarse first", {.min = 0, .source = "as lambda"});
    b.field("consistency_reduction", consistency_reduction, "mean", "over the stages before the last",
            {.choices = {"mean", "sum"}, .source = "CAT"});
    b.field("anchor", anchor, "attached", "attached: the last stage is pulled toward the others too",
            {.choices = {"detached", "attached"}, .source = "as lambda"});
    b.field("align_scales", align_scales, "all", "scales that are aligned with the frozen features",
            {.choices = {"all", "last"}, .source = "CAT, open"});
    b.field("trajectory_back", back, "bilinear", "how the diagnostics bring a scale back to full size",
            {.choices = {"bilinear", "nearest"}, .source = "CAT, open"});
    b.check("consistency_weights", [this] {
      const int64_t wanted = model.generator.stages - 1;
      if (consistency == 0 || std::ssize(consistency_weights) == wanted) return std::string();
      return gigacat::cat(consistency_weights.size(), " weights for ", wanted, " stages before the last");
    });
  }
  std::unique_ptr<Recipe> build(models::Model& gan, const nn::Init& init) const override;
  std::string trajectory_back() const override { return back; }
};

class Cat : public TransformerGan {
 public:
  Cat(const CatLoss& loss, models::Model& model, const nn::Init& init)
      : TransformerGan(loss, model, init), loss_(loss) {}

 protected:
  void add_generator_losses(const at::Tensor& fakes, Loss& loss) override {
    if (loss_.consistency == 0 || fakes.size(0) < 2) return;
    const at::Tensor terms = losses::consistency_terms(fakes, loss_.anchor == "detached");  // [K - 1]
    const at::Tensor weighted = terms * at::tensor(loss_.consistency_weights, terms.options());
    const at::Tensor consistency = loss_.consistency_reduction == "mean" ? weighted.mean() : weighted.sum();
    loss.total = loss.total + loss_.consistency * consistency;
    loss.terms.emplace_back("consistency", consistency.detach());
  }
  bool aligns_last_scale() const override { return loss_.align_scales == "last"; }

 private:
  const CatLoss& loss_;
};

std::unique_ptr<Recipe> CatLoss::build(models::Model& gan, const nn::Init& init) const {
  return std::make_unique<Cat>(*this, gan, init);
}

}  // namespace

GanConfig make_cat() {
  auto model = std::make_unique<models::cat::CatConfig>();
  auto loss = std::make_unique<CatLoss>(*model);
  return {std::move(model), std::move(loss)};
}

}  // namespace gigacat::recipes
