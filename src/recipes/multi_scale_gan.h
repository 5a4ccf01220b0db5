// What GigaGAN and its upsampler share: the losses on the multi-scale discriminator and on captions.
// Source: GigaGAN (arXiv 2303.05511) sections 3.4 and 3.5.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gigacat/models/gigagan/model.h"
#include "gigacat/pretrained/text_image.h"
#include "gigacat/recipes/recipe.h"
#include "recipes/gigagan_loss.h"

namespace gigacat::recipes {

// Notes `value` under its name, and adds it to the total with a weight that is not 0.
void add(Loss& loss, const std::string& name, const at::Tensor& value, double weight);

// Letters: B batch, L levels of the pyramid, N images of a pass, D text width.
class MultiScaleGan : public Recipe {
 public:
  MultiScaleGan(const GigaGanLoss& config, models::gigagan::PyramidModel& model, const nn::Init& init);
  // R1 on real images.
  Loss discriminator_penalty(const Batch& batch) override;
  Loss discriminator_loss(const Batch& batch, const at::Tensor& fakes) override;
  Loss generator_loss(const Batch& batch, const at::Tensor& fakes) override;
  StepCost cost() const override;

 protected:
  using Predictions = std::vector<models::gigagan::Prediction>;

  // A batch's captions, a share of them left out.
  models::gigagan::Captions read(const Batch& batch);
  // More generator losses than the discriminator's and the encoder's. Default: none.
  virtual void add_generator_losses(const Batch& /*batch*/, const at::Tensor& /*fakes*/, Loss& /*loss*/) {}

 private:
  // Captions as the discriminator reads them: of each sample, and of another sample of the whole batch.
  struct Conditioning {
    at::Tensor own, other;  // [B, D]
    at::Tensor weights;     // [B]: 0 where the other caption is the same or empty; 1 on average over the whole batch
  };
  Conditioning condition(const Batch& batch);
  at::Tensor mismatched(const Predictions& wrong, const at::Tensor& weights, double sign = 1) const;
  at::Tensor vision_discriminator(const at::Tensor& real, const at::Tensor& fake, const at::Tensor& t);
  at::Tensor vision_generator(const at::Tensor& fake, const at::Tensor& t);
  at::Tensor contrastive(const Batch& batch, const at::Tensor& fake);
  // Embeddings of the captions of the whole batch, [N, E].
  at::Tensor embeddings(const Batch& batch);
  bool matches() const { return model_.has_text() && loss_.matching > 0; }
  models::gigagan::DiscriminatorImpl& d() { return model_.multi_scale(); }
  pretrained::TextImageEncoder& encoder(at::Device device);

  const GigaGanLoss& loss_;
  models::gigagan::PyramidModel& model_;
  PredictionWeights weights_;
  std::unique_ptr<pretrained::TextImageEncoder> encoder_;
  std::weak_ptr<const WholeBatch> embedded_;  // what embeddings_ are of: micro-batches share them
  at::Tensor embeddings_;
};

}  // namespace gigacat::recipes
