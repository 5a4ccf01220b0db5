// What GAT and CAT share: the generator, augmentation, relativistic losses, penalties and alignment.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/losses/augment.h"
#include "gigacat/models/gat/discriminator_parts.h"
#include "gigacat/models/gat/generator.h"
#include "gigacat/pretrained/features.h"
#include "gigacat/recipes/recipe.h"

namespace gigacat::recipes {

struct TransformerGanLoss {
  double gamma_r1, gamma_r2, penalty_std, colour_probability, flip_probability, align_weight;
  std::string penalty, penalty_precision, align, align_weights, align_translation;
  int64_t align_dim;
  bool augment;
  void bind(config::Binder& b);
};

// B batch, K stages, C channels, H x W, L predictions.
class TransformerGan : public Recipe {
 public:
  void build(const ImageShape& shape, uint64_t seed) override;
  torch::nn::Module& generator() override { return *generator_; }
  std::shared_ptr<torch::nn::Module> make_generator() override;

  at::Tensor generate(const Batch& batch, bool with_graph) override;
  Loss discriminator_loss(const Batch& batch, const at::Tensor& fakes) override;
  Loss generator_loss(const Batch& batch, const at::Tensor& fakes) override;
  void update_buffers(dist::Group& group) override;
  std::vector<std::pair<std::string, double>> diagnostics(const at::Tensor& fakes) override;
  bool has_trajectory() const override { return true; }

  at::Tensor latent(uint64_t seed, const std::vector<int64_t>& indices, at::Device device) override;
  Style style(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
              const SampleOptions& options) override;
  at::Tensor draw(torch::nn::Module& generator, const Style& style, bool all_stages) override;
  Cost cost() const override;

 protected:
  // Builds the discriminator for K stages and alignment features of the given width (0: none).
  virtual void build_discriminator(const ImageShape& shape, int64_t stages, int64_t features, const nn::Init& init) = 0;
  // Predictions for images [K, N, C, H, W] and labels [N / r]; the alignment head on the first `aligned`.
  virtual models::gat::DiscriminatorOutput judge(const at::Tensor& images, const at::Tensor& labels,
                                                 int64_t aligned) = 0;
  // A function of images [K, n B, C, H, W] that noises them before the discriminator, the same for each of the n groups
  // of B; drawn under `purpose`. Default: none.
  virtual at::Tensor noised(const at::Tensor& images, const Draws& draws, const std::string& purpose);
  // More generator losses than the adversarial one. Default: none.
  virtual void add_generator_losses(const at::Tensor& /*fakes*/, Loss& /*loss*/) {}
  // Stage images [K, B, C, H, W] as supervised, for the trajectory diagnostics: K tensors [B, C, h_k, w_k].
  virtual std::vector<at::Tensor> supervised(const at::Tensor& fakes) = 0;
  // FLOPs and kept bytes of the discriminator for one image.
  virtual std::pair<double, double> discriminator_cost() const = 0;
  virtual std::string diagnostics_back() const { return "bilinear"; }

  models::gat::GeneratorConfig generator_config_{};
  models::gat::DiscriminatorConfig discriminator_config_{};
  TransformerGanLoss loss_{};
  ImageShape shape_;
  models::gat::Generator generator_{nullptr};

 private:
  losses::AugmentDraw draw_augmentation(const Draws& draws, const std::string& purpose) const;
  at::Tensor augmented(const at::Tensor& images, const losses::AugmentDraw& draw, const at::Tensor& original) const;
  void add_alignment(const Batch& batch, const losses::AugmentDraw& draw,
                     const models::gat::DiscriminatorOutput& output, Loss& loss);
  at::Tensor features(const Batch& batch, const losses::AugmentDraw& draw);

  std::unique_ptr<pretrained::FeatureEncoder> encoder_;
  std::vector<at::Tensor> styles_, style_labels_;  // of this step's generator passes
};

}  // namespace gigacat::recipes
