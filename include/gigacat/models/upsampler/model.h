// The model of recipe upsampler: GigaGAN's asymmetric U-Net or AuraSR's network, and the multi-scale discriminator.
// Source: "Scaling up GANs for Text-to-Image Synthesis" (arXiv 2303.05511) section 3.6.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gigacat/models/gigagan/model.h"
#include "gigacat/models/gigagan/upsampler.h"

namespace gigacat::models::upsampler {

class GeneratorKind;

// `model:` of recipe upsampler.
struct UpsamplerConfig : models::ModelConfig {
  std::string kind, aura_sr, downscale;
  int64_t scale = 4;
  double noise = 0;
  bool conditioned = false;
  gigagan::CaptionConfig text{};
  gigagan::UpsamplerConfig unet{};
  gigagan::DiscriminatorConfig discriminator{};
  void bind(config::Binder& b) override;
  int64_t samples_together(int64_t batch) const override { return discriminator.samples_together(batch); }
  std::unique_ptr<Model> build(const ImageShape& shape, const nn::Init& init) const override;
};

// Images [B, 3, h, w] -> [B, 3, side, side] as PIL's bicubic does.
at::Tensor resized(const at::Tensor& x, int64_t side);

// Letters: B batch, s and S side of the small and the large image, Z width of z, n examples.
class UpsamplerModel : public gigagan::PyramidModel {
 public:
  UpsamplerModel(const UpsamplerConfig& config, const ImageShape& shape, const nn::Init& init);
  ~UpsamplerModel() override;
  std::string name() const override { return "upsampler"; }
  std::shared_ptr<torch::nn::Module> make_generator(const nn::Init& init) const override;
  bool has_classes() const override { return false; }
  std::vector<std::string> prompts() const override;

  // The small image of real ones [B, 3, S, S]: [B, 3, s, s], rounded to 8 bits as files are.
  at::Tensor small(const at::Tensor& images) const;
  int64_t side() const { return side_; }  // s
  int64_t z_dim() const override;
  double noise() const { return config_.noise; }
  // x [B, 3, s, s] in [-1, 1], standard normal noise of that shape, z [B, Z] -> [B, 3, S, S].
  at::Tensor run(torch::nn::Module& generator, const at::Tensor& x, const at::Tensor& noise, const at::Tensor& z,
                 const gigagan::Captions& captions) const;

  int64_t examples_needed() const override { return 64; }
  void set_examples(const at::Tensor& images, const std::vector<std::string>& captions) override;
  // z, and the example that a sample is made from: [B, Z + 3 s s].
  at::Tensor latents(uint64_t seed, const std::vector<int64_t>& indices, at::Device device) const override;
  // With all stages the small image comes first, enlarged to S.
  at::Tensor sample(torch::nn::Module& generator, const at::Tensor& latents, const at::Tensor& labels,
                    const SampleOptions& options) override;
  std::unique_ptr<TileUpsampler> tile_upsampler() override;

  std::vector<at::Tensor> pyramid(const at::Tensor& fakes) const override;
  bool is_attention(const torch::nn::Module& module) const override;
  NetworkCost generator_cost() const override;

 private:
  const UpsamplerConfig& config_;
  int64_t side_;
  std::unique_ptr<GeneratorKind> kind_;
  at::Tensor examples_;  // [n, 3, s, s]
  std::vector<std::string> example_captions_;
};

}  // namespace gigacat::models::upsampler
