#include "train/toy/networks.h"

namespace gigacat::toy {

void Config::bind(config::Binder& b) {
  b.field("latent", latent, 8, "width Z of a latent", {.min = 1});
  b.field("hidden", hidden, 16, "width W of the hidden layers", {.min = 1});
}

Generator::Generator(const Config& config, const models::ImageShape& shape, const nn::Init& init) : shape_(shape) {
  table_ = register_module("table", nn::LabelTable(shape.num_classes, config.latent, init / "table"));
  in_ = register_module("first", nn::Linear(config.latent, config.hidden, init / "first"));
  out_ = register_module("out", nn::Linear(config.hidden, shape.channels * shape.height * shape.width, init / "out"));
  mean = register_buffer("mean", at::zeros({config.hidden}));
}

at::Tensor Generator::synthesize(const at::Tensor& style) {
  const at::Tensor hidden = at::silu(in_(style));  // [B, W]
  last = hidden.detach();
  return out_(hidden).tanh().view({-1, shape_.channels, shape_.height, shape_.width});
}

Discriminator::Discriminator(const Config& config, const models::ImageShape& shape, const nn::Init& init) {
  table_ = register_module("table", nn::LabelTable(shape.num_classes, config.hidden, init / "table"));
  in_ =
      register_module("first", nn::Linear(shape.channels * shape.height * shape.width, config.hidden, init / "first"));
  out_ = register_module("out", nn::Linear(config.hidden, 1, init / "out"));
}

at::Tensor Discriminator::forward(const at::Tensor& images, const at::Tensor& labels) {
  return out_(at::silu(in_(images.flatten(1)) + table_(labels)));
}

}  // namespace gigacat::toy
