// What GAT and CAT share: augmentation, relativistic losses, penalties and alignment.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/losses/augment.h"
#include "gigacat/models/gat/model.h"
#include "gigacat/pretrained/features.h"
#include "gigacat/recipes/recipe.h"

namespace gigacat::recipes {

// The part of `loss:` that both have.
struct TransformerGanLoss : LossConfig {
  double gamma_r1, gamma_r2, penalty_std, colour_probability, flip_probability, align_weight;
  std::string penalty, penalty_precision, align, align_weights, align_translation;
  int64_t align_dim;
  bool augment;
  void bind(config::Binder& b) override;
};

// B batch, K stages, C channels, H x W, L predictions.
class TransformerGan : public Recipe {
 public:
  TransformerGan(const TransformerGanLoss& config, models::Model& model, const nn::Init& init);

  at::Tensor generate(const Batch& batch, bool with_graph) override;
  Loss discriminator_loss(const Batch& batch, const at::Tensor& fakes) override;
  Loss generator_loss(const Batch& batch, const at::Tensor& fakes) override;
  void update_buffers(dist::Group& group) override;
  std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor& fakes) override;
  StepCost cost() const override;

 protected:
  // A function of images [K, n B, C, H, W] that noises them before the discriminator, the same for each of the n groups
  // of B; drawn under `purpose`. Default: none.
  virtual at::Tensor noised(const at::Tensor& images, const nn::RandomDraws& draws, const std::string& purpose);
  // More generator losses than the adversarial one. Default: none.
  virtual void add_generator_losses(const at::Tensor& /*fakes*/, Loss& /*loss*/) {}
  // Whether the alignment head reads the last scale only.
  virtual bool aligns_last_scale() const { return false; }

 private:
  models::gat::DiscriminatorOutput discriminate(const at::Tensor& images, const at::Tensor& labels, int64_t aligned) {
    return model_.discriminate(images, labels, aligned, aligns_last_scale());
  }
  losses::AugmentDraw draw_augmentation(const nn::RandomDraws& draws, const std::string& purpose) const;
  at::Tensor augmented(const at::Tensor& images, const losses::AugmentDraw& draw, const at::Tensor& original) const;
  void add_alignment(const Batch& batch, const losses::AugmentDraw& draw,
                     const models::gat::DiscriminatorOutput& output, Loss& loss);
  at::Tensor features(const Batch& batch, const losses::AugmentDraw& draw);

  const TransformerGanLoss& loss_;
  models::gat::TransformerModel& model_;
  std::unique_ptr<pretrained::FeatureEncoder> encoder_;
  std::vector<at::Tensor> styles_, style_labels_;  // of this step's generator passes
};

}  // namespace gigacat::recipes
