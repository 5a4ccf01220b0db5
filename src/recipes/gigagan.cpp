// GigaGAN: text to image, every level of a pyramid judged at every coarser scale.
// Source: "Scaling up GANs for Text-to-Image Synthesis" (arXiv 2303.05511).
#include <ATen/Functions.h>

#include <algorithm>

#include "recipes/multi_scale_gan.h"
#include "recipes/table.h"

// Letters: B batch, L levels of the pyramid, D text width, V style width.
namespace gigacat::recipes {
namespace {

namespace gigagan = models::gigagan;
using models::Style;

constexpr int64_t kWatched = 2;  // samples whose activations the monitor measures

class GigaGan : public MultiScaleGan {
 public:
  GigaGan(const GigaGanLoss& loss, gigagan::GigaGanModel& model, const nn::Init& init)
      : MultiScaleGan(loss, model, init), model_(model) {}

  at::Tensor generate(const Batch& batch, bool with_graph) override {
    const at::AutoGradMode grad(with_graph);
    const at::Tensor z = batch.draws->normal("z", {}, {model_.z_dim()});
    const gigagan::Text text = model_.network().read(read(batch));
    const Style styles = Style::of(model_.network().style(z, text), text.local, text.mask);
    if (with_graph) styles_.push_back(styles.w_of(0).detach());
    watch(styles);
    return model_.rows(styles);
  }

  void update_buffers(dist::Group& group) override {
    if (styles_.empty()) return;
    model_.network().update_style_mean(group.all_gather(at::cat(styles_).to(at::kFloat), "style mean"));
    styles_.clear();
  }

  std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor& /*fakes*/) override {
    const at::NoGradGuard no_grad;
    std::vector<std::pair<std::string, double>> out;
    for (const auto& [name, value] : model_.network().activation_scales(watched_))
      out.emplace_back("activation/" + name, value);
    return out;
  }

 private:
  void watch(const Style& styles) {
    const int64_t count = std::min(kWatched, styles.size());
    watched_ = styles.at(at::arange(count, styles.w.options().dtype(at::kLong)));
    for (at::Tensor* rows : {&watched_.w, &watched_.text}) *rows = rows->detach();
  }

  gigagan::GigaGanModel& model_;
  std::vector<at::Tensor> styles_;  // of this step's generator passes
  Style watched_;
};

struct Config : GigaGanLoss {
  std::unique_ptr<Recipe> build(models::Model& model, const nn::Init& init) const override {
    return std::make_unique<GigaGan>(*this, dynamic_cast<gigagan::GigaGanModel&>(model), init);
  }
};

}  // namespace

GanConfig make_gigagan() { return {std::make_unique<gigagan::GigaGanConfig>(), std::make_unique<Config>()}; }

}  // namespace gigacat::recipes
