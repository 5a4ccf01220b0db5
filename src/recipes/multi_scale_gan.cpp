#include "recipes/multi_scale_gan.h"

#include <ATen/Functions.h>

#include <map>
#include <numeric>

#include "gigacat/core/error.h"
#include "gigacat/dist/device.h"
#include "gigacat/losses/text_image.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/nn/fused.h"

// Letters as in the header.
namespace gigacat::recipes {
namespace {

namespace gigagan = models::gigagan;
using Predictions = std::vector<gigagan::Prediction>;

std::pair<Predictions, Predictions> split(const Predictions& both, int64_t b) {
  Predictions real, fake;
  for (const gigagan::Prediction& p : both) {
    real.push_back({p.level, p.scale, p.logits.narrow(0, 0, b)});
    fake.push_back({p.level, p.scale, p.logits.narrow(0, b, b)});
  }
  return {real, fake};
}

// Weighed sum over the predictions of term(a, b), b empty where there is none.
template <class Term>
at::Tensor weighed(const std::vector<double>& weights, const Predictions& a, const Predictions& b, const Term& term) {
  at::Tensor sum;
  for (size_t p = 0; p < a.size(); ++p) {
    const at::Tensor part = weights[p] * term(a[p].logits, b.empty() ? at::Tensor() : b[p].logits);
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

}  // namespace

void add(Loss& loss, const std::string& name, const at::Tensor& value, double weight) {
  loss.terms.emplace_back(name, value.detach());
  if (weight == 0) return;
  const at::Tensor part = weight * value;
  loss.total = loss.total.defined() ? loss.total + part : part;
}

MultiScaleGan::MultiScaleGan(const GigaGanLoss& config, gigagan::PyramidModel& model, const nn::Init& init)
    : loss_(config), model_(model), weights_(config.prediction_weights(model.levels(), model.is_multi_scale())) {
  std::vector<int64_t> vision;
  if (loss_.vision > 0) vision = pretrained::text_image_sizes(model_.caption_config().spec(loss_.encoder)).layer_widths;
  model_.build_discriminator(vision, init);
}

Loss MultiScaleGan::discriminator_loss(const Batch& batch, const at::Tensor& fakes) {
  const Conditioning text = condition(batch);
  const std::vector<at::Tensor> real = gigagan::image_pyramid(batch.images, model_.levels()),
                                fake = model_.pyramid(fakes);
  std::vector<at::Tensor> both;
  for (size_t i = 0; i < real.size(); ++i) both.push_back(at::cat({real[i], fake[i]}));  // [2 B, C, r, r]
  const gigagan::TrunkFeatures seen = d().features(both, /*parts=*/2);
  Loss loss;
  const auto halves = [&](const at::Tensor& texts) {
    return split(d().discriminate(seen, texts.repeat({2, 1})), batch.images.size(0));
  };
  const auto [on_real, on_fake] = halves(text.own);
  add(loss, "d_gan", weighed(weights_.gan, on_real, on_fake, losses::logistic_discriminator), 1);
  if (matches()) {
    const auto [wrong_real, wrong_fake] = halves(text.other);
    add(loss, "d_match", mismatched(wrong_real, text.weights) + mismatched(wrong_fake, text.weights), loss_.matching);
  }
  if (loss_.vision > 0) add(loss, "d_vision", vision_discriminator(batch.images, fake[0], text.own), loss_.vision);
  loss.terms.emplace_back("accuracy_real", (on_real.back().logits > 0).to(at::kFloat).mean());
  loss.terms.emplace_back("accuracy_fake", (on_fake.back().logits < 0).to(at::kFloat).mean());
  return loss;
}

Loss MultiScaleGan::generator_loss(const Batch& batch, const at::Tensor& fakes) {
  const Conditioning text = condition(batch);
  const std::vector<at::Tensor> fake = model_.pyramid(fakes);
  const gigagan::TrunkFeatures seen = d().features(fake, /*parts=*/1);
  Loss loss;
  add(loss, "g_gan",
      weighed(weights_.gan, d().discriminate(seen, text.own), {},
              [](const auto& on_fake, const auto&) { return losses::logistic_generator(on_fake); }),
      1);
  if (matches() && loss_.matching_generator != "none") {
    const double sign = loss_.matching_generator == "minimised" ? 1 : -1;
    add(loss, "g_match", mismatched(d().discriminate(seen, text.other), text.weights, sign), loss_.matching);
  }
  if (loss_.clip > 0) add(loss, "g_clip", contrastive(batch, fake[0]), loss_.clip);
  if (loss_.vision > 0) add(loss, "g_vision", vision_generator(fake[0], text.own), loss_.vision);
  add_generator_losses(batch, fakes, loss);
  return loss;
}

gigagan::Captions MultiScaleGan::read(const Batch& batch) {
  if (model_.has_text() && batch.captions.empty())
    fail<UsageError>("data.captions: recipe ", model_.name(), " learns from captions: set it to true");
  if (!model_.has_text())
    return model_.captions().read(std::vector<std::string>(batch.images.size(0)), batch.images.device());
  return model_.captions().read(model_.captions().dropped(batch.captions, *batch.draws), batch.images.device());
}

// Who reads whose caption is a permutation of the whole batch, which every rank and micro-batch finds for itself. Each
// text that this one needs is read once.
MultiScaleGan::Conditioning MultiScaleGan::condition(const Batch& batch) {
  if (!model_.has_text() || batch.captions.empty()) {
    const at::Tensor own = d().read(read(batch));
    return {own, own, at::zeros({own.size(0)}, own.options())};
  }
  const nn::RandomDraws& draws = batch.whole ? batch.whole->draws : *batch.draws;
  const std::vector<std::string> texts =
      model_.captions().dropped(batch.whole ? batch.whole->captions : batch.captions, draws);  // [N]
  const at::Tensor keys = draws.uniform("mismatch", {}).to(at::kCPU);
  const std::vector<int64_t> order =
      losses::derange(texts, std::vector<float>(keys.data_ptr<float>(), keys.data_ptr<float>() + keys.numel()));
  const auto other_of = [&](size_t i) -> const std::string& { return texts[static_cast<size_t>(order[i])]; };
  std::vector<float> counts;  // [N]
  for (size_t i = 0; i < texts.size(); ++i)
    counts.push_back(other_of(i).empty() || other_of(i) == texts[i] ? 0.0F : 1.0F);
  const float counted = std::accumulate(counts.begin(), counts.end(), 0.0F);

  std::map<std::string, int64_t> places;
  std::vector<std::string> read;
  const auto place_of = [&](const std::string& text) {
    const auto [found, is_new] = places.try_emplace(text, std::ssize(read));
    if (is_new) read.push_back(text);
    return found->second;
  };
  std::vector<int64_t> own, other;
  std::vector<float> weights;
  for (int64_t b = 0; b < batch.images.size(0); ++b) {
    const auto i = static_cast<size_t>(batch.whole ? batch.first + b : b);
    own.push_back(place_of(texts[i]));
    other.push_back(place_of(other_of(i)));
    weights.push_back(counted > 0 ? counts[i] * static_cast<float>(texts.size()) / counted : 0.0F);
  }
  const at::Device device = batch.images.device();
  const at::Tensor t = d().read(model_.captions().read(read, device));  // [texts read, D]
  const auto rows = [&](const std::vector<int64_t>& of) {
    return t.index_select(0, dist::send(at::tensor(of, at::kLong), device));
  };
  return {rows(own), rows(other), dist::send(at::tensor(weights), device)};
}

at::Tensor MultiScaleGan::mismatched(const Predictions& wrong, const at::Tensor& weights, double sign) const {
  return weighed(weights_.matching, wrong, {}, [&](const at::Tensor& logits, const at::Tensor&) {
    return losses::logistic_mismatch(sign * logits, weights);
  });
}

Loss MultiScaleGan::discriminator_penalty(const Batch& batch) {
  if (loss_.r1_gamma == 0 || batch.step % loss_.r1_interval != 0) return {};
  const nn::FloatIsland island(batch.images);
  const nn::TwiceDifferentiable twice;
  at::Tensor t;
  {
    const at::NoGradGuard no_grad;  // R1 is of the images
    t = d().read(read(batch)).to(at::kFloat);
  }
  const at::Tensor x = batch.images.detach().requires_grad_(true);
  const auto seen = d().features(gigagan::image_pyramid(x, model_.levels()), 1);
  const at::Tensor score =
      weighed(weights_.gan, d().discriminate(seen, t), {}, [](const at::Tensor& logits, const at::Tensor&) {
        return logits.flatten(1).mean(1);  // [B]
      });
  Loss loss;
  add(loss, "r1", losses::gradient_penalty(score, x).mean(),
      loss_.r1_gamma / 2 * static_cast<double>(loss_.r1_interval));
  return loss;
}

at::Tensor MultiScaleGan::vision_discriminator(const at::Tensor& real, const at::Tensor& fake, const at::Tensor& t) {
  std::vector<at::Tensor> layers;
  {
    at::NoGradGuard no_grad;
    layers = encoder(real.device()).look(at::cat({real, fake})).layers;
  }
  at::Tensor sum;
  for (const at::Tensor& logits : d().discriminate_vision(layers, t.repeat({2, 1}))) {
    const auto halves = logits.chunk(2);
    const at::Tensor part = losses::logistic_discriminator(halves[0], halves[1]);
    sum = sum.defined() ? sum + part : part;
  }
  return sum / static_cast<double>(layers.size());
}

at::Tensor MultiScaleGan::vision_generator(const at::Tensor& fake, const at::Tensor& t) {
  at::Tensor sum;
  const auto layers = d().discriminate_vision(encoder(fake.device()).look(fake).layers, t);
  for (const at::Tensor& logits : layers)
    sum = sum.defined() ? sum + losses::logistic_generator(logits) : losses::logistic_generator(logits);
  return sum / static_cast<double>(layers.size());
}

at::Tensor MultiScaleGan::contrastive(const Batch& batch, const at::Tensor& fake) {
  auto& frozen = encoder(fake.device());
  const int64_t first = batch.whole ? batch.first : 0;
  return losses::clip_contrastive(frozen.look(fake).embedding, embeddings(batch), first, frozen.scale());
}

// Every rank reads its own captions and gets the others'.
at::Tensor MultiScaleGan::embeddings(const Batch& batch) {
  auto& frozen = encoder(batch.images.device());
  if (!batch.whole) return frozen.read(batch.captions).embedding;
  if (embeddings_.defined() && embedded_.lock() == batch.whole) return embeddings_;
  const std::vector<std::string>& all = batch.whole->captions;
  const bool alone = !batch.group || batch.group->size() == 1;
  const int64_t share = std::ssize(all) / (alone ? 1 : batch.group->size());
  const auto first = all.begin() + (alone ? 0 : batch.group->rank() * share);
  const at::Tensor own = frozen.read({first, first + share}).embedding;
  embeddings_ = alone ? own : batch.group->all_gather(own, "text embeddings");
  embedded_ = batch.whole;
  return embeddings_;
}

StepCost MultiScaleGan::cost() const {
  const models::NetworkCost generator = model_.generator_cost(), discriminator = model_.discriminator_cost();
  const double g = generator.flops, d = discriminator.flops;
  // The discriminator's half sees two images, three passes each; lazily R1 adds one image, nine passes. The
  // generator's half goes once through it and back to the image.
  const double r1 = loss_.r1_gamma > 0 ? 9 * d / static_cast<double>(loss_.r1_interval) : 0;
  return {3 * g + 6 * d + 2 * d + r1, generator.activation_bytes + 2 * discriminator.activation_bytes};
}

pretrained::TextImageEncoder& MultiScaleGan::encoder(at::Device device) {
  if (!encoder_) encoder_ = pretrained::make_text_image_encoder(model_.caption_config().spec(loss_.encoder), device);
  return *encoder_;
}

}  // namespace gigacat::recipes
