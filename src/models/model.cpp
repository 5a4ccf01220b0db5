#include "gigacat/models/model.h"

#include <ATen/core/grad_mode.h>

#include "gigacat/core/error.h"
#include "gigacat/nn/random_draws.h"

namespace gigacat::models {

torch::nn::Module& Model::discriminator() {
  GIGACAT_CHECK(discriminator_ != nullptr, "the discriminator is not built");
  return *discriminator_;
}

at::Tensor Model::latents(uint64_t seed, const std::vector<int64_t>& indices, at::Device device) const {
  return nn::StreamDraws(seed, 0, indices, device).normal("sample.z", {}, {z_dim()});
}

Style Model::style(torch::nn::Module& /*generator*/, const at::Tensor& /*z*/, const at::Tensor& /*labels*/,
                   const SampleOptions& /*options*/) {
  fail<UsageError>("recipe ", name(), " has no styles to edit");
}

at::Tensor Model::synthesize(torch::nn::Module& /*generator*/, const Style& /*style*/, bool /*all_stages*/) {
  fail<UsageError>("recipe ", name(), " has no styles to edit");
}

at::Tensor Model::sample(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                         const SampleOptions& options) {
  const at::NoGradGuard no_grad;
  return synthesize(generator, style(generator, z, labels, options), options.all_stages);
}

std::unique_ptr<TileUpsampler> Model::tile_upsampler() {
  fail<UsageError>("recipe ", name(), " makes images of noise: only recipe upsampler makes images larger");
}

void TileUpsampler::refuse_caption(const std::string& caption) {
  if (!caption.empty()) fail<UsageError>("a caption is given, but this upsampler was trained without text");
}

std::vector<at::Tensor> Model::supervised(const at::Tensor& /*stages*/) const {
  fail<InternalError>("recipe ", name(), " has no trajectory");
}

ExportedGenerator Model::exported() const {
  fail<UsageError>("a generator of recipe ", name(),
                   " has no form for other programs than safetensors: only gat, cat and gigagan have one");
}

OfficialNetwork Model::official(Network /*network*/, nn::TensorMap /*tensors*/) const {
  fail<UsageError>("only GAT has an official model to load it: this is a run of ", name());
}

std::set<std::string> attention_parameters(const Model& model, const torch::nn::Module& network) {
  std::set<std::string> names;
  for (const auto& module : network.named_modules()) {
    if (!model.is_attention(*module.value())) continue;
    const std::string prefix = module.key().empty() ? "" : module.key() + ".";
    for (const auto& parameter : module.value()->named_parameters()) names.insert(prefix + parameter.key());
  }
  return names;
}

}  // namespace gigacat::models
