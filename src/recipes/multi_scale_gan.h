// What GigaGAN and its upsampler share: the multi-scale discriminator, told of captions, and the losses on it.
// Source: GigaGAN (arXiv 2303.05511) sections 3.4 and 3.5.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/models/gigagan/discriminator.h"
#include "gigacat/pretrained/text_image.h"
#include "gigacat/recipes/recipe.h"
#include "recipes/captions.h"
#include "recipes/gigagan_loss.h"

namespace gigacat::recipes {

// Notes `value` under its name, and adds it to the total with a weight that is not 0.
void add(Loss& loss, const std::string& name, const at::Tensor& value, double weight);

// Letters: B batch, L levels of the pyramid, N images of a pass, D text width.
class MultiScaleGan : public Recipe {
 public:
  torch::nn::Module& discriminator() override { return *discriminator_; }
  Loss discriminator_loss(const Batch& batch, const at::Tensor& fakes) override;
  Loss generator_loss(const Batch& batch, const at::Tensor& fakes) override;

 protected:
  using Predictions = std::vector<models::gigagan::Prediction>;

  // What a step tells the networks: the captions, and for each sample another's.
  struct Told {
    models::gigagan::Captions captions;
    at::Tensor mismatch;  // [B] int64
    at::Tensor counts;    // [B], 0 where the other caption is the same or says nothing
  };

  // After the config is read: prepares the captions' reader and builds the discriminator for images of `shape`.
  void build_discriminator(const ImageShape& shape, uint64_t seed);
  Told read(const Batch& batch);
  // Levels of fakes as the discriminator takes them, finest first: L tensors [B, C, r, r].
  virtual std::vector<at::Tensor> pyramid(const at::Tensor& fakes) const = 0;
  // More generator losses than the discriminator's and the encoder's. Default: none.
  virtual void add_generator_losses(const Batch& /*batch*/, const at::Tensor& /*fakes*/, Loss& /*loss*/) {}
  int64_t levels() const { return levels_; }
  // Of a step, from one forward pass of the generator and what its backward pass keeps.
  Cost cost_with(double generator_flops, double generator_bytes) const;

  models::gigagan::DiscriminatorConfig discriminator_config_{};
  CaptionConfig captions_{};
  GigaGanLoss loss_{};
  bool has_text_ = true;  // off: every sample is told the empty caption
  CaptionReader reader_{captions_};
  models::gigagan::Discriminator discriminator_{nullptr};

 private:
  at::Tensor mismatched(const Predictions& wrong, const Told& told, double sign = 1) const;
  void add_r1(const Batch& batch, const at::Tensor& t, Loss& loss);
  at::Tensor vision_discriminator(const at::Tensor& real, const at::Tensor& fake, const at::Tensor& t);
  at::Tensor vision_generator(const at::Tensor& fake, const at::Tensor& t);
  at::Tensor contrastive(const Batch& batch, const at::Tensor& fake);
  bool matches() const { return has_text_ && loss_.matching > 0; }
  pretrained::TextImageEncoder& encoder(at::Device device);

  int64_t levels_ = 0;
  PredictionWeights weights_;
  std::unique_ptr<pretrained::TextImageEncoder> encoder_;
};

}  // namespace gigacat::recipes
