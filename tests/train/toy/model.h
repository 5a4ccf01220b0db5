// The toy GAN's model: how its networks are built, drawn from, edited and exported.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gigacat/models/model.h"
#include "train/toy/networks.h"

namespace gigacat::toy {

class Model : public models::Model {
 public:
  Model(const Config& config, const models::ImageShape& shape, const nn::Init& init);
  std::string name() const override { return "toy"; }
  std::shared_ptr<torch::nn::Module> make_generator(const nn::Init& init) const override;
  void build_discriminator(const nn::Init& init);
  int64_t z_dim() const override { return config_.latent; }
  Generator& generator_network() { return *typed_generator_; }
  Discriminator& discriminator_network() { return *typed_discriminator_; }

  models::Style style(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                      const models::SampleOptions& options) override;
  at::Tensor synthesize(torch::nn::Module& generator, const models::Style& style, bool all_stages) override;
  bool is_attention(const torch::nn::Module& /*module*/) const override { return false; }
  models::NetworkCost generator_cost() const override;
  models::NetworkCost discriminator_cost() const override;
  models::ExportedGenerator exported() const override;

 private:
  Config config_;
  std::shared_ptr<Generator> typed_generator_;
  std::shared_ptr<Discriminator> typed_discriminator_;
};

struct ModelConfig : models::ModelConfig {
  Config networks{};
  void bind(config::Binder& b) override { networks.bind(b); }
  std::unique_ptr<models::Model> build(const models::ImageShape& shape, const nn::Init& init) const override {
    return std::make_unique<Model>(networks, shape, init);
  }
};

}  // namespace gigacat::toy
