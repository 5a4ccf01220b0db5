// GigaGAN's networks, and what its upsampler shares with them: captions and the multi-scale discriminator.
// Source: "Scaling up GANs for Text-to-Image Synthesis" (arXiv 2303.05511).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gigacat/models/gigagan/captions.h"
#include "gigacat/models/gigagan/config.h"
#include "gigacat/models/gigagan/discriminator.h"
#include "gigacat/models/gigagan/generator.h"
#include "gigacat/models/model.h"

namespace gigacat::models::gigagan {

// Letters: B batch, L levels of the pyramid, C channels.
class PyramidModel : public Model {
 public:
  CaptionReader& captions() { return captions_; }
  const CaptionConfig& caption_config() const { return caption_config_; }
  // Whether the networks read captions; if not, every sample has the empty one.
  bool has_text() const { return has_text_; }
  int64_t levels() const { return levels_; }
  // Whether every level is judged at every coarser scale.
  bool is_multi_scale() const { return discriminator_config_.multi_scale; }
  // Fakes of a generator pass as the discriminator takes them, finest first: L tensors [B, C, r, r].
  virtual std::vector<at::Tensor> pyramid(const at::Tensor& fakes) const = 0;

  // `vision`: channels of each frozen layer that is judged; empty: none.
  void build_discriminator(const std::vector<int64_t>& vision, const nn::Init& init);
  DiscriminatorImpl& multi_scale() { return *multi_scale_; }
  bool is_attention(const torch::nn::Module& module) const override;
  NetworkCost discriminator_cost() const override { return {multi_scale_->flops(), multi_scale_->activation_bytes()}; }

 protected:
  PyramidModel(const ImageShape& shape, const CaptionConfig& captions, const DiscriminatorConfig& discriminator,
               bool has_text);
  CaptionConfig caption_config_;
  CaptionReader captions_;
  DiscriminatorConfig discriminator_config_;

 private:
  bool has_text_;
  int64_t levels_;
  std::shared_ptr<DiscriminatorImpl> multi_scale_;
};

// `model:` of recipe gigagan.
struct GigaGanConfig : models::ModelConfig {
  CaptionConfig text{};
  GeneratorConfig generator{};
  DiscriminatorConfig discriminator{};
  bool attention = true;
  void bind(config::Binder& b) override;
  int64_t samples_together(int64_t batch) const override { return discriminator.samples_together(batch); }
  std::unique_ptr<Model> build(const ImageShape& shape, const nn::Init& init) const override;
};

// GigaGAN: text and noise to a pyramid of images.
class GigaGanModel : public PyramidModel {
 public:
  // The generator has weights from `init`, on the CPU. Errors: UsageError when sizes do not fit the shape.
  GigaGanModel(const GigaGanConfig& config, const ImageShape& shape, const nn::Init& init);
  std::string name() const override { return "gigagan"; }
  std::shared_ptr<torch::nn::Module> make_generator(const nn::Init& init) const override;
  // The generator by its own type.
  GeneratorImpl& network() { return *network_; }
  int64_t z_dim() const override { return config_.z_dim; }
  bool has_classes() const override { return false; }
  std::vector<std::string> prompts() const override { return caption_config_.prompts; }

  Style style(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
              const SampleOptions& options) override;
  at::Tensor synthesize(torch::nn::Module& generator, const Style& style, bool all_stages) override;
  int64_t style_layers() const override { return network_->layers(); }

  // The images of all resolutions of a sample as one row: [1, B, C * (4 * 4 + 8 * 8 + ...)], coarse first.
  at::Tensor rows(const Style& style);
  std::vector<at::Tensor> pyramid(const at::Tensor& rows) const override;

  NetworkCost generator_cost() const override { return {network_->flops(), network_->activation_bytes()}; }
  ExportedGenerator exported() const override;

 private:
  GeneratorConfig config_;
  std::vector<int64_t> resolutions_;  // coarse first
  std::shared_ptr<GeneratorImpl> network_;
};

}  // namespace gigacat::models::gigagan
