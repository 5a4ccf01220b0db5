// GigaGAN: text to image, every level of a pyramid judged at every coarser scale.
// Source: "Scaling up GANs for Text-to-Image Synthesis" (arXiv 2303.05511).
#include <ATen/Functions.h>

#include <algorithm>
#include <map>

#include "gigacat/models/gigagan/generator.h"
#include "recipes/multi_scale_gan.h"
#include "recipes/table.h"

// Letters: B batch, L levels of the pyramid, N images of a pass, D text width, V style width.
namespace gigacat::recipes {
namespace {

namespace gigagan = models::gigagan;

constexpr int64_t kMeanSamples = 256;  // latents of a prompt's mean style
constexpr int64_t kWatched = 2;        // samples whose activations the monitor measures

class GigaGan : public MultiScaleGan {
 public:
  std::string name() const override { return "gigagan"; }

  void bind(config::Binder& b) override {
    b.open("model", "the two networks");
    b.section("text", captions_, "what captions become");
    b.section("generator", generator_config_, "adaptive convolutions and attention from text and noise to a pyramid");
    b.section("discriminator", discriminator_config_, "one trunk for every level of the pyramid");
    b.field("attention", attention_, true, "attention in both networks; off: convolutions alone",
            {.source = "GigaGAN table 1"});
    b.close();
    b.section("loss", loss_, "what the networks are trained on");
  }

  void build(const ImageShape& shape, uint64_t seed) override {
    shape_ = shape;
    resolutions_ = gigagan::resolutions_of(shape);
    if (!attention_) {
      std::fill(generator_config_.attention.begin(), generator_config_.attention.end(), 0);
      discriminator_config_.attention.clear();
    }
    build_discriminator(shape, seed);
    generator_ = gigagan::Generator(generator_config_, captions_.layers, shape, nn::Init(seed, "G"));
  }

  torch::nn::Module& generator() override { return *generator_; }
  std::shared_ptr<torch::nn::Module> make_generator() override {
    return gigagan::Generator(generator_config_, captions_.layers, shape_, nn::Init::zeros()).ptr();
  }
  std::vector<std::string> prompts() const override { return captions_.prompts; }

  // The pyramid of every sample as one row: [1, B, C * (4 * 4 + 8 * 8 + ...)].
  at::Tensor generate(const Batch& batch, bool with_graph) override {
    at::AutoGradMode grad(with_graph);
    const at::Tensor z = batch.draws->normal("z", {}, {generator_config_.z_dim});
    const gigagan::Text text = generator_->read(read(batch).captions);
    const Style styles = Style::of(generator_->style(z, text), text.local, text.mask);
    if (with_graph) styles_.push_back(styles.w_of(0).detach());
    watch(styles);
    std::vector<at::Tensor> rows;
    for (const at::Tensor& level : generator_->synthesize(styles)) rows.push_back(level.flatten(1));
    return at::cat(rows, 1).unsqueeze(0);
  }

  void update_buffers(dist::Group& group) override {
    if (styles_.empty()) return;
    generator_->update_style_mean(group.all_gather(at::cat(styles_).to(at::kFloat), "style mean"));
    styles_.clear();
  }

  std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor& /*fakes*/) override {
    at::NoGradGuard no_grad;
    std::vector<std::pair<std::string, double>> out;
    const auto scales = generator_->activation_scales(watched_);
    for (const auto& [name, value] : scales) out.emplace_back("activation/" + name, value);
    return out;
  }

  at::Tensor latent(uint64_t seed, const std::vector<int64_t>& indices, at::Device device) override {
    return StreamDraws(seed, 0, indices, device).normal("sample.z", {}, {generator_config_.z_dim});
  }

  Style style(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
              const SampleOptions& options) override {
    at::NoGradGuard no_grad;
    auto& g = *generator.as<gigagan::Generator>();
    std::vector<std::string> captions = options.captions;
    captions.resize(static_cast<size_t>(labels.size(0)));
    const gigagan::Text text = g.read(reader_.read(captions, z.device()));
    at::Tensor w = g.style(z, text);
    if (options.truncation != 1) w = models::truncate(w, g.w_avg, mean_styles(g, text, captions), options.truncation);
    return Style::of(w, text.local, text.mask);
  }

  at::Tensor draw(torch::nn::Module& generator, const Style& style, bool all_stages) override {
    std::vector<at::Tensor> images = generator.as<gigagan::Generator>()->synthesize(style);  // coarse first
    if (!all_stages) return images.back().unsqueeze(0);
    for (at::Tensor& image : images) image = at::upsample_nearest2d(image, {shape_.height, shape_.width});
    return at::stack(images);
  }
  int64_t style_layers() const override { return generator_->layers(); }

  Cost cost() const override { return cost_with(generator_->flops(), generator_->activation_bytes()); }

 private:
  // The rows of generate() as levels.
  std::vector<at::Tensor> pyramid(const at::Tensor& fakes) const override {
    std::vector<at::Tensor> all;
    int64_t first = 0;
    for (const int64_t r : resolutions_) {
      const int64_t count = shape_.channels * r * r;
      all.insert(all.begin(), fakes[0].narrow(1, first, count).unflatten(1, {shape_.channels, r, r}));
      first += count;
    }
    return all;
  }

  // w_mean_c of each sample's caption, [B, V].
  at::Tensor mean_styles(gigagan::GeneratorImpl& g, const gigagan::Text& text,
                         const std::vector<std::string>& captions) {
    std::map<std::string, at::Tensor> means;
    std::vector<int64_t> indices(kMeanSamples);
    for (int64_t i = 0; i < kMeanSamples; ++i) indices[static_cast<size_t>(i)] = i;
    const at::Tensor z =
        StreamDraws(0, 0, indices, text.global.device()).normal("truncation.z", {}, {generator_config_.z_dim});
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

  void watch(const Style& styles) {
    const int64_t count = std::min(kWatched, styles.size());
    watched_ = styles.at(at::arange(count, styles.w.options().dtype(at::kLong)));
    for (at::Tensor* rows : {&watched_.w, &watched_.text}) *rows = rows->detach();
  }

  gigagan::GeneratorConfig generator_config_{};
  bool attention_ = true;
  ImageShape shape_;
  std::vector<int64_t> resolutions_;  // coarse first
  gigagan::Generator generator_{nullptr};
  std::vector<at::Tensor> styles_;  // of this step's generator passes
  Style watched_;
};

}  // namespace

std::unique_ptr<Recipe> make_gigagan() { return std::make_unique<GigaGan>(); }

}  // namespace gigacat::recipes
