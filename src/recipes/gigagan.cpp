// GigaGAN: text to image, every level of a pyramid judged at every coarser scale.
// Source: "Scaling up GANs for Text-to-Image Synthesis" (arXiv 2303.05511).
#include <ATen/Functions.h>

#include <algorithm>
#include <map>

#include "gigacat/core/error.h"
#include "gigacat/losses/text_image.h"
#include "gigacat/losses/trajectory.h"
#include "gigacat/models/gigagan/discriminator.h"
#include "gigacat/models/gigagan/generator.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/nn/fused.h"
#include "recipes/captions.h"
#include "recipes/gigagan_loss.h"
#include "recipes/table.h"

// Letters: B batch, L levels of the pyramid, N images of a pass, D text width, V style width.
namespace gigacat::recipes {
namespace {

namespace gigagan = models::gigagan;

constexpr int64_t kMeanSamples = 256;  // latents of a prompt's mean style
constexpr int64_t kWatched = 2;        // samples whose activations the monitor measures

void add(Loss& loss, const std::string& name, const at::Tensor& value, double weight) {
  loss.terms.emplace_back(name, value.detach());
  if (weight == 0) return;
  const at::Tensor part = weight * value;
  loss.total = loss.total.defined() ? loss.total + part : part;
}

class GigaGan : public Recipe {
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
    reader_.prepare();
    if (!attention_) {
      std::fill(generator_config_.attention.begin(), generator_config_.attention.end(), 0);
      discriminator_config_.attention.clear();
    }
    weights_ = loss_.prediction_weights(levels(), discriminator_config_.multi_scale);
    std::vector<int64_t> vision;
    if (loss_.vision > 0) vision = pretrained::text_image_sizes(captions_.spec(loss_.encoder)).layer_widths;
    generator_ = gigagan::Generator(generator_config_, captions_.layers, shape, nn::Init(seed, "G"));
    discriminator_ =
        gigagan::Discriminator(discriminator_config_, captions_.layers, shape, vision, nn::Init(seed, "D"));
  }

  torch::nn::Module& generator() override { return *generator_; }
  torch::nn::Module& discriminator() override { return *discriminator_; }
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

  Loss discriminator_loss(const Batch& batch, const at::Tensor& fakes) override {
    const Told told = read(batch);
    const std::vector<at::Tensor> real = gigagan::image_pyramid(batch.images, levels()), fake = unpack(fakes);
    const at::Tensor t = discriminator_->read(told.captions);  // [B, D]
    std::vector<at::Tensor> both;
    for (size_t i = 0; i < real.size(); ++i) both.push_back(at::cat({real[i], fake[i]}));  // [2 B, C, r, r]
    const gigagan::TrunkFeatures seen = discriminator_->features(both, /*parts=*/2);
    Loss loss;
    const auto halves = [&](const at::Tensor& texts) {
      return split(discriminator_->judge(seen, texts.repeat({2, 1})), batch.images.size(0));
    };
    const auto [on_real, on_fake] = halves(t);
    add(loss, "d_gan", weighed(weights_.gan, on_real, on_fake, losses::logistic_discriminator), 1);
    if (loss_.matching > 0) {
      const auto [wrong_real, wrong_fake] = halves(t.index_select(0, told.mismatch));
      add(loss, "d_match", mismatched(wrong_real, told) + mismatched(wrong_fake, told), loss_.matching);
    }
    if (loss_.vision > 0) add(loss, "d_vision", vision_discriminator(batch.images, fake[0], t), loss_.vision);
    if (loss_.r1_gamma > 0 && batch.step % loss_.r1_interval == 0) add_r1(batch, t.detach(), loss);
    add(loss, "d_total", loss.total, 0);
    loss.terms.emplace_back("accuracy_real", (on_real.back().logits > 0).to(at::kFloat).mean());
    loss.terms.emplace_back("accuracy_fake", (on_fake.back().logits < 0).to(at::kFloat).mean());
    return loss;
  }

  Loss generator_loss(const Batch& batch, const at::Tensor& fakes) override {
    const Told told = read(batch);
    const std::vector<at::Tensor> fake = unpack(fakes);
    const at::Tensor t = discriminator_->read(told.captions);
    const gigagan::TrunkFeatures seen = discriminator_->features(fake, /*parts=*/1);
    Loss loss;
    add(loss, "g_gan",
        weighed(weights_.gan, discriminator_->judge(seen, t), {},
                [](const auto& on_fake, const auto&) { return losses::logistic_generator(on_fake); }),
        1);
    if (loss_.matching > 0 && loss_.matching_generator != "none") {
      const auto wrong = discriminator_->judge(seen, t.index_select(0, told.mismatch));
      const double sign = loss_.matching_generator == "minimised" ? 1 : -1;
      add(loss, "g_match", mismatched(wrong, told, sign), loss_.matching);
    }
    if (loss_.clip > 0) add(loss, "g_clip", contrastive(batch, fake[0]), loss_.clip);
    if (loss_.vision > 0) {
      at::Tensor sum;
      const auto layers = discriminator_->judge_vision(encoder(fakes.device()).look(fake[0]).layers, t);
      for (const at::Tensor& logits : layers)
        sum = sum.defined() ? sum + losses::logistic_generator(logits) : losses::logistic_generator(logits);
      add(loss, "g_vision", sum / static_cast<double>(layers.size()), loss_.vision);
    }
    add(loss, "g_total", loss.total, 0);
    return loss;
  }

  void update_buffers(dist::Group& group) override {
    if (styles_.empty()) return;
    generator_->update_style_mean(group.all_gather(at::cat(styles_).to(at::kFloat), "style mean"));
    styles_.clear();
  }

  std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor& fakes) override {
    at::NoGradGuard no_grad;
    std::vector<std::pair<std::string, double>> out{{"diversity", losses::diversity(unpack(fakes)[0])}};
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
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> images = generator.as<gigagan::Generator>()->synthesize(style);  // coarse first
    if (!all_stages) return images.back().unsqueeze(0);
    for (at::Tensor& image : images) image = at::upsample_nearest2d(image, {shape_.height, shape_.width});
    return at::stack(images);
  }
  int64_t style_layers() const override { return generator_->layers(); }

  Cost cost() const override {
    const double g = generator_->flops(), d = discriminator_->flops();
    // The discriminator's half sees two images, three passes each; lazily R1 adds one image, nine passes. The
    // generator's half goes once through it and back to the image.
    const double r1 = loss_.r1_gamma > 0 ? 9 * d / static_cast<double>(loss_.r1_interval) : 0;
    return {g, d, 3 * g + 6 * d + 2 * d + r1, generator_->activation_bytes() + 2 * discriminator_->activation_bytes()};
  }

 private:
  using Predictions = std::vector<gigagan::Prediction>;

  // What a step tells the networks: the captions, and for each sample another's.
  struct Told {
    gigagan::Captions captions;
    at::Tensor mismatch;  // [B] int64
    at::Tensor counts;    // [B], 0 where the other caption is the same or says nothing
  };

  Told read(const Batch& batch) {
    if (batch.captions.empty()) fail<UsageError>("data.captions: recipe gigagan learns from captions: set it to true");
    const std::vector<std::string> texts = reader_.dropped(batch.captions, *batch.draws);
    const at::Tensor keys = batch.draws->uniform("mismatch", {}).to(at::kCPU);
    const std::vector<int64_t> order =
        losses::derange(texts, std::vector<float>(keys.data_ptr<float>(), keys.data_ptr<float>() + keys.numel()));
    at::Tensor counts = at::ones({std::ssize(texts)});
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string& other = texts[static_cast<size_t>(order[i])];
      if (other.empty() || other == texts[i]) counts[static_cast<int64_t>(i)] = 0;
    }
    const at::Device device = batch.images.device();
    return {reader_.read(texts, device), at::tensor(order, at::kLong).to(device), counts.to(device)};
  }

  int64_t levels() const { return std::ssize(resolutions_); }

  // Levels of packed fakes, finest first, as the discriminator takes them.
  std::vector<at::Tensor> unpack(const at::Tensor& fakes) const {
    std::vector<at::Tensor> pyramid;
    int64_t first = 0;
    for (const int64_t r : resolutions_) {
      const int64_t count = shape_.channels * r * r;
      pyramid.insert(pyramid.begin(), fakes[0].narrow(1, first, count).unflatten(1, {shape_.channels, r, r}));
      first += count;
    }
    return pyramid;
  }

  static std::pair<Predictions, Predictions> split(const Predictions& both, int64_t b) {
    Predictions real, fake;
    for (const gigagan::Prediction& p : both) {
      real.push_back({p.level, p.scale, p.logits.narrow(0, 0, b)});
      fake.push_back({p.level, p.scale, p.logits.narrow(0, b, b)});
    }
    return {real, fake};
  }

  // Weighed sum over the predictions of term(a, b), b empty where there is none.
  template <class Term>
  static at::Tensor weighed(const std::vector<double>& weights, const Predictions& a, const Predictions& b,
                            const Term& term) {
    at::Tensor sum;
    for (size_t p = 0; p < a.size(); ++p) {
      const at::Tensor part = weights[p] * term(a[p].logits, b.empty() ? at::Tensor() : b[p].logits);
      sum = sum.defined() ? sum + part : part;
    }
    return sum;
  }

  at::Tensor mismatched(const Predictions& wrong, const Told& told, double sign = 1) const {
    return weighed(weights_.matching, wrong, {}, [&](const at::Tensor& logits, const at::Tensor&) {
      return losses::logistic_mismatch(sign * logits, told.counts);
    });
  }

  void add_r1(const Batch& batch, const at::Tensor& t, Loss& loss) {
    const nn::FloatIsland island(batch.images);
    const nn::TwiceDifferentiable twice;
    const at::Tensor x = batch.images.detach().requires_grad_(true);
    const auto seen = discriminator_->features(gigagan::image_pyramid(x, levels()), 1);
    const at::Tensor score = weighed(weights_.gan, discriminator_->judge(seen, t.to(at::kFloat)), {},
                                     [](const at::Tensor& logits, const at::Tensor&) {
                                       return logits.flatten(1).mean(1);  // [B]
                                     });
    const at::Tensor penalty = losses::gradient_penalty(score, x);
    add(loss, "r1", penalty.mean(), loss_.r1_gamma / 2 * static_cast<double>(loss_.r1_interval));
  }

  at::Tensor vision_discriminator(const at::Tensor& real, const at::Tensor& fake, const at::Tensor& t) {
    std::vector<at::Tensor> layers;
    {
      at::NoGradGuard no_grad;
      layers = encoder(real.device()).look(at::cat({real, fake})).layers;
    }
    at::Tensor sum;
    for (const at::Tensor& logits : discriminator_->judge_vision(layers, t.repeat({2, 1}))) {
      const auto halves = logits.chunk(2);
      const at::Tensor part = losses::logistic_discriminator(halves[0], halves[1]);
      sum = sum.defined() ? sum + part : part;
    }
    return sum / static_cast<double>(layers.size());
  }

  at::Tensor contrastive(const Batch& batch, const at::Tensor& fake) {
    auto& frozen = encoder(fake.device());
    const at::Tensor own = frozen.read(batch.captions).embedding;
    const bool alone = !batch.group || batch.group->size() == 1;
    const at::Tensor text = alone ? own : batch.group->all_gather(own, "text embeddings");
    const int64_t first = alone ? 0 : batch.group->rank() * own.size(0);
    return losses::clip_contrastive(frozen.look(fake).embedding, text, first, frozen.scale());
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

  pretrained::TextImageEncoder& encoder(at::Device device) {
    if (!encoder_) encoder_ = pretrained::make_text_image_encoder(captions_.spec(loss_.encoder), device);
    return *encoder_;
  }

  gigagan::GeneratorConfig generator_config_{};
  gigagan::DiscriminatorConfig discriminator_config_{};
  CaptionConfig captions_{};
  GigaGanLoss loss_{};
  bool attention_ = true;
  ImageShape shape_;
  std::vector<int64_t> resolutions_;  // coarse first
  PredictionWeights weights_;
  CaptionReader reader_{captions_};
  gigagan::Generator generator_{nullptr};
  gigagan::Discriminator discriminator_{nullptr};
  std::unique_ptr<pretrained::TextImageEncoder> encoder_;
  std::vector<at::Tensor> styles_;  // of this step's generator passes
  Style watched_;
};

}  // namespace

std::unique_ptr<Recipe> make_gigagan() { return std::make_unique<GigaGan>(); }

}  // namespace gigacat::recipes
