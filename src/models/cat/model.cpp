#include "gigacat/models/cat/model.h"

namespace gigacat::models::cat {
namespace {

class CatModel : public gat::TransformerModel {
 public:
  CatModel(const CatConfig& config, const ImageShape& shape, const nn::Init& init)
      : TransformerModel(config.generator, shape, init), config_(config) {}

  std::string name() const override { return "cat"; }

  std::vector<at::Tensor> supervised(const at::Tensor& stages) const override {
    const int64_t patch = config_.discriminator.patch;
    const auto grids = scale_grids(config_.scales, stages.size(0), shape_.height / patch, shape_.width / patch);
    return scaled_stages(stages, grids, patch, config_.scales.resize);
  }

  void build_discriminator(int64_t features, const nn::Init& init) override {
    network_ = std::make_shared<DiscriminatorImpl>(config_.discriminator, config_.scales, shape_,
                                                   config_.generator.stages, features, init);
    discriminator_ = network_;
  }
  DiscriminatorOutput discriminate(const at::Tensor& images, const at::Tensor& labels, int64_t aligned,
                                   bool last_scale_only) override {
    return network_->forward(images, labels, aligned, last_scale_only);
  }
  NetworkCost discriminator_cost() const override { return {network_->flops(), network_->activation_bytes()}; }

 private:
  const CatConfig& config_;
  std::shared_ptr<DiscriminatorImpl> network_;
};

}  // namespace

void CatConfig::bind(config::Binder& b) {
  b.section("generator", generator, "transformer from a style to K images");
  b.section("discriminator", discriminator, "transformer over each scale by itself");
  b.section("scales", scales, "what the discriminator sees of each stage");
}

std::unique_ptr<Model> CatConfig::build(const ImageShape& shape, const nn::Init& init) const {
  return std::make_unique<CatModel>(*this, shape, init);
}

}  // namespace gigacat::models::cat
