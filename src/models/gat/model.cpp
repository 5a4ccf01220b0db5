#include "gigacat/models/gat/model.h"

#include <ATen/Functions.h>

#include "gigacat/models/exported_functions.h"
#include "gigacat/models/gat/discriminator.h"
#include "gigacat/models/gat/official.h"
#include "gigacat/nn/random_draws.h"

namespace gigacat::models::gat {

TransformerModel::TransformerModel(const GeneratorConfig& config, const ImageShape& shape, const nn::Init& init)
    : Model(shape), generator_config_(config), typed_(std::make_shared<GeneratorImpl>(config, shape, init)) {
  generator_ = typed_;
}

std::shared_ptr<torch::nn::Module> TransformerModel::make_generator(const nn::Init& init) const {
  return std::make_shared<GeneratorImpl>(generator_config_, shape_, init);
}

Style TransformerModel::style(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                              const SampleOptions& options) {
  const at::NoGradGuard no_grad;
  auto& g = *generator.as<Generator>();
  at::Tensor w = g.truncate(g.style(z, labels), labels, options.truncation);
  if (options.guidance != 1) w = g.guide(w, z, at::full({1}, options.guidance, w.options()));
  return Style::of(w);
}

at::Tensor TransformerModel::synthesize(torch::nn::Module& generator, const Style& style, bool all_stages) {
  const at::Tensor images = generator.as<Generator>()->synthesize(style.w_of(0));
  return all_stages ? images : images.narrow(0, images.size(0) - 1, 1);
}

bool TransformerModel::is_attention(const torch::nn::Module& module) const {
  return dynamic_cast<const nn::AttentionImpl*>(&module) != nullptr;
}

NetworkCost TransformerModel::generator_cost() const { return {typed_->flops(), typed_->activation_bytes()}; }

ExportedGenerator TransformerModel::exported() const {
  const GeneratorConfig& c = generator_config_;
  const auto number = [](int64_t value) { return static_cast<double>(value); };
  return {.functions = exported_functions("gat"),
          .inputs = {"labels"},
          .numbers = {{"depth", number(c.depth)},
                      {"stages", number(c.stages)},
                      {"heads", number(c.heads)},
                      {"patch", number(c.patch)},
                      {"rows", number(shape_.height / c.patch)},
                      {"columns", number(shape_.width / c.patch)},
                      {"shift", c.shifts() ? 1.0 : 0.0}},
          .z_dim = c.z_dim,
          .text = {},
          .constants = {}};
}

namespace {

class GatModel : public TransformerModel {
 public:
  GatModel(const GatConfig& config, const ImageShape& shape, const nn::Init& init)
      : TransformerModel(config.generator, shape, init), config_(config) {}

  std::string name() const override { return "gat"; }
  double lr_scale(Network network) const override {
    const bool is_generator = network == Network::generator;
    const int64_t hidden = is_generator ? config_.generator.hidden : config_.discriminator.hidden;
    return config_.width_aware_lr ? 768.0 / static_cast<double>(hidden) : 1;
  }
  std::vector<at::Tensor> supervised(const at::Tensor& stages) const override { return stages.unbind(0); }

  void build_discriminator(int64_t features, const nn::Init& init) override {
    network_ =
        std::make_shared<DiscriminatorImpl>(config_.discriminator, shape_, config_.generator.stages, features, init);
    discriminator_ = network_;
  }
  DiscriminatorOutput discriminate(const at::Tensor& images, const at::Tensor& labels, int64_t aligned,
                                   bool /*last_scale_only*/) override {
    return network_->forward(images, labels, aligned);
  }
  NetworkCost discriminator_cost() const override { return {network_->flops(), network_->activation_bytes()}; }

  OfficialNetwork official(Network network, nn::TensorMap tensors) const override {
    return network == Network::generator ? official_generator(config_.generator, shape_, std::move(tensors))
                                         : official_discriminator(config_.discriminator, shape_, std::move(tensors));
  }

 private:
  const GatConfig& config_;
  std::shared_ptr<DiscriminatorImpl> network_;
};

}  // namespace

void GatConfig::bind(config::Binder& b) {
  b.section("generator", generator, "transformer from a style to K images");
  b.section("discriminator", discriminator, "transformer over the K images together");
  b.field("width_aware_lr", width_aware_lr, true, "learning rate of a network times 768 / its hidden width",
          {.source = "GAT section 4"});
}

std::unique_ptr<Model> GatConfig::build(const ImageShape& shape, const nn::Init& init) const {
  return std::make_unique<GatModel>(*this, shape, init);
}

}  // namespace gigacat::models::gat
