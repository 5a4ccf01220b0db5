// GAT's networks, and the transformer generator that CAT shares with it.
// Source: "Scalable GANs with Transformers" (arXiv 2509.24935).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gigacat/models/gat/config.h"
#include "gigacat/models/gat/discriminator_parts.h"
#include "gigacat/models/gat/generator.h"
#include "gigacat/models/model.h"

namespace gigacat::models::gat {

// B batch, K stages, N images, C channels, H x W, F feature width.
class TransformerModel : public Model {
 public:
  std::shared_ptr<torch::nn::Module> make_generator(const nn::Init& init) const override;
  GeneratorImpl& transformer() { return *typed_; }
  int64_t z_dim() const override { return generator_config_.z_dim; }

  Style style(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
              const SampleOptions& options) override;
  at::Tensor synthesize(torch::nn::Module& generator, const Style& style, bool all_stages) override;
  bool has_trajectory() const override { return true; }
  bool is_attention(const torch::nn::Module& module) const override;
  NetworkCost generator_cost() const override;
  ExportedGenerator exported() const override;

  // Builds the discriminator. `features`: width F of the alignment features; 0: no alignment head.
  virtual void build_discriminator(int64_t features, const nn::Init& init) = 0;
  // Predictions for images [K, N, C, H, W] and labels [N / r]; the alignment head runs on the first `aligned` images,
  // on all scales or the last only.
  virtual DiscriminatorOutput discriminate(const at::Tensor& images, const at::Tensor& labels, int64_t aligned,
                                           bool last_scale_only) = 0;

 protected:
  TransformerModel(const GeneratorConfig& config, const ImageShape& shape, const nn::Init& init);
  GeneratorConfig generator_config_;

 private:
  std::shared_ptr<GeneratorImpl> typed_;
};

// `model:` of recipe gat.
struct GatConfig : models::ModelConfig {
  GeneratorConfig generator{};
  DiscriminatorConfig discriminator{};
  bool width_aware_lr = true;
  void bind(config::Binder& b) override;
  std::unique_ptr<Model> build(const ImageShape& shape, const nn::Init& init) const override;
};

}  // namespace gigacat::models::gat
