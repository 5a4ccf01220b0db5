#include "train/toy/recipe.h"

#include "gigacat/losses/adversarial.h"

namespace gigacat::toy {

void Recipe::bind(config::Binder& b) {
  b.section("model", config_, "two perceptrons");
  b.open("loss", "what they are trained on");
  b.field("r1", r1_, 0.1, "weight of the discriminator's squared logits on real images", {.min = 0});
  b.close();
}

void Recipe::build(const recipes::ImageShape& shape, uint64_t seed) {
  shape_ = shape;
  generator_ = std::make_shared<Generator>(config_, shape, nn::Init(seed, "G"));
  discriminator_ = std::make_shared<Discriminator>(config_, shape, nn::Init(seed, "D"));
}

std::shared_ptr<torch::nn::Module> Recipe::make_generator() {
  return std::make_shared<Generator>(config_, shape_, nn::Init::zeros());
}

at::Tensor Recipe::generate(const recipes::Batch& batch, bool with_graph) {
  at::AutoGradMode grad(with_graph);
  const at::Tensor z = batch.draws->normal("z", {}, {config_.latent});
  return generator_->forward(z, batch.labels).unsqueeze(0);  // [1, B, C, H, W]
}

recipes::Loss Recipe::discriminator_loss(const recipes::Batch& batch, const at::Tensor& fakes) {
  const at::Tensor both = at::cat({batch.images, fakes[0]}), labels = batch.labels.repeat({2});
  const auto logits = discriminator_->forward(both, labels).chunk(2);  // real, fake: [B, 1] each
  const at::Tensor adversarial = losses::relativistic_discriminator(logits[0], logits[1]);
  const at::Tensor size = logits[0].square();
  return {adversarial.mean() + r1_ * size.mean(),
          {{"adversarial", adversarial.detach()},
           {"size", size.detach()},
           {"accuracy_real", (logits[0] > 0).to(at::kFloat)},
           {"accuracy_fake", (logits[1] < 0).to(at::kFloat)}}};
}

recipes::Loss Recipe::generator_loss(const recipes::Batch& batch, const at::Tensor& fakes) {
  const at::Tensor both = at::cat({batch.images, fakes[0]}), labels = batch.labels.repeat({2});
  const auto logits = discriminator_->forward(both, labels).chunk(2);
  const at::Tensor adversarial = losses::relativistic_generator(logits[0], logits[1]);
  return {adversarial.mean(), {{"adversarial", adversarial.detach()}}};
}

void Recipe::update_buffers(dist::Group& group) {
  at::NoGradGuard no_grad;
  at::Tensor mean = generator_->last.to(at::kFloat).mean(0);
  group.all_reduce(mean, dist::Reduce::mean, "hidden means");
  generator_->mean.lerp_(mean, 0.1);
}

std::vector<std::pair<std::string, double>> Recipe::diagnostics(const at::Tensor& fakes) {
  return {{"brightness", fakes.mean().item<double>()}};
}

at::Tensor Recipe::latent(uint64_t seed, const std::vector<int64_t>& indices, at::Device device) {
  return recipes::StreamDraws(seed, 0, indices, device).normal("sample.z", {}, {config_.latent});
}

at::Tensor Recipe::sample(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                          const recipes::SampleOptions& /*options*/) {
  return generator.as<Generator>()->forward(z, labels).unsqueeze(0);
}

recipes::Cost Recipe::cost() const {
  const auto pixels = static_cast<double>(shape_.channels * shape_.height * shape_.width);
  const auto latent = static_cast<double>(config_.latent), hidden = static_cast<double>(config_.hidden);
  const double g = 2 * hidden * (latent + pixels), d = 2 * hidden * (pixels + 1);
  return {g, d, 3 * g + 9 * d, 4 * (3 * hidden + 4 * pixels)};
}

std::unique_ptr<recipes::Recipe> make() { return std::make_unique<Recipe>(); }

}  // namespace gigacat::toy
