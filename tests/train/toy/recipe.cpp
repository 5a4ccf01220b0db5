#include "train/toy/recipe.h"

#include "gigacat/losses/adversarial.h"

namespace gigacat::toy {

Recipe::Recipe(Model& model, double r1, const nn::Init& init) : model_(model), r1_(r1) {
  model.build_discriminator(init);
}

at::Tensor Recipe::generate(const recipes::Batch& batch, bool with_graph) {
  at::AutoGradMode grad(with_graph);
  const at::Tensor z = batch.draws->normal("z", {}, {model_.z_dim()});
  const at::Tensor images = model_.generator_network().forward(z, batch.labels);
  if (with_graph) hidden_.push_back(model_.generator_network().last.to(at::kFloat).mean(0));
  return images.unsqueeze(0);  // [1, B, C, H, W]
}

recipes::Loss Recipe::discriminator_loss(const recipes::Batch& batch, const at::Tensor& fakes) {
  const at::Tensor both = at::cat({batch.images, fakes[0]}), labels = batch.labels.repeat({2});
  const auto logits = model_.discriminator_network().forward(both, labels).chunk(2);  // real, fake: [B, 1] each
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
  const auto logits = model_.discriminator_network().forward(both, labels).chunk(2);
  const at::Tensor adversarial = losses::relativistic_generator(logits[0], logits[1]);
  return {adversarial.mean(), {{"adversarial", adversarial.detach()}}};
}

void Recipe::update_buffers(dist::Group& group) {
  at::NoGradGuard no_grad;
  if (hidden_.empty()) return;
  at::Tensor mean = at::stack(hidden_).mean(0);
  hidden_.clear();
  group.all_reduce(mean, dist::Reduce::mean, "hidden means");
  model_.generator_network().mean.lerp_(mean, 0.1);
}

std::vector<std::pair<std::string, double>> Recipe::diagnostics(const at::Tensor& fakes) {
  return {{"brightness", fakes.mean().item<double>()}};
}

recipes::StepCost Recipe::cost() const {
  const models::NetworkCost g = model_.generator_cost(), d = model_.discriminator_cost();
  return {3 * g.flops + 9 * d.flops, g.activation_bytes + 2 * d.activation_bytes};
}

void LossConfig::bind(config::Binder& b) {
  b.field("r1", r1, 0.1, "weight of the discriminator's squared logits on real images", {.min = 0});
}

std::unique_ptr<recipes::Recipe> LossConfig::build(models::Model& model, const nn::Init& init) const {
  return std::make_unique<Recipe>(dynamic_cast<Model&>(model), r1, init);
}

recipes::GanConfig make() { return {std::make_unique<ModelConfig>(), std::make_unique<LossConfig>()}; }

}  // namespace gigacat::toy
