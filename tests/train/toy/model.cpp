#include "train/toy/model.h"

#include "gigacat/nn/random_draws.h"

namespace gigacat::toy {
namespace {

// The generator in the part of Python that TorchScript understands too.
constexpr const char* kFunctions = R"(from typing import Dict

import torch
from torch import Tensor
from torch.nn.functional import linear, silu


def generate(w: Dict[str, Tensor], c: Dict[str, float], z: Tensor, labels: Tensor, truncation: float) -> Tensor:
    table = w["table.embedding_table.weight"]
    style = z * truncation + table.index_select(0, labels)
    hidden = silu(linear(style, w["first.weight"], w["first.bias"]))
    image = linear(hidden, w["out.weight"], w["out.bias"]).tanh()
    return image.view([z.shape[0], int(c["channels"]), int(c["height"]), int(c["width"])])
)";

}  // namespace

Model::Model(const Config& config, const models::ImageShape& shape, const nn::Init& init)
    : models::Model(shape), config_(config), typed_generator_(std::make_shared<Generator>(config, shape, init)) {
  generator_ = typed_generator_;
}

std::shared_ptr<torch::nn::Module> Model::make_generator(const nn::Init& init) const {
  return std::make_shared<Generator>(config_, shape_, init);
}

void Model::build_discriminator(const nn::Init& init) {
  typed_discriminator_ = std::make_shared<Discriminator>(config_, shape_, init);
  discriminator_ = typed_discriminator_;
}

models::Style Model::style(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                           const models::SampleOptions& options) {
  const at::NoGradGuard no_grad;
  return models::Style::of(dynamic_cast<Generator&>(generator).style(z * options.truncation, labels));
}

at::Tensor Model::synthesize(torch::nn::Module& generator, const models::Style& style, bool /*all_stages*/) {
  return dynamic_cast<Generator&>(generator).synthesize(style.w_of(0)).unsqueeze(0);
}

models::NetworkCost Model::generator_cost() const {
  const auto pixels = static_cast<double>(shape_.channels * shape_.height * shape_.width);
  const auto latent = static_cast<double>(config_.latent), hidden = static_cast<double>(config_.hidden);
  return {2 * hidden * (latent + pixels), 4 * (hidden + pixels)};
}

models::NetworkCost Model::discriminator_cost() const {
  const auto pixels = static_cast<double>(shape_.channels * shape_.height * shape_.width);
  const auto hidden = static_cast<double>(config_.hidden);
  return {2 * hidden * (pixels + 1), 4 * (hidden + pixels)};
}

models::ExportedGenerator Model::exported() const {
  return {.functions = kFunctions,
          .inputs = {"labels"},
          .numbers = {{"channels", static_cast<double>(shape_.channels)},
                      {"height", static_cast<double>(shape_.height)},
                      {"width", static_cast<double>(shape_.width)}},
          .z_dim = config_.latent,
          .text = {},
          .constants = {}};
}

}  // namespace gigacat::toy
