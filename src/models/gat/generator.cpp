#include "gigacat/models/gat/generator.h"

#include <ATen/Functions.h>

#include "gigacat/nn/activation_checkpoint.h"
#include "gigacat/nn/fused.h"

// Letters: B batch, D hidden width, T tokens, K stages, C channels, H x W image, Z latent width, p patch.
namespace gigacat::models::gat {
namespace {

constexpr double kNormEps = 1e-6;
constexpr double kModulationGain = 0.1;

// SiLU(w) -> linear, the linear under the official name adaLN_modulation.1.
nn::Linear modulation(torch::nn::Module& owner, int64_t in, int64_t out, const nn::Init& init) {
  auto holder = owner.register_module("adaLN_modulation", std::make_shared<torch::nn::Module>());
  return holder->register_module("1", nn::Linear(in, out, init / "adaLN_modulation" / "1", kModulationGain));
}

// RMSNorm(x) * (1 + scale) + shift, shift undefined for none. x [B, T, D], scale and shift [B, D].
at::Tensor modulated(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift) {
  const at::Tensor y = nn::rms_norm_modulate(x, scale, kNormEps);
  return shift.defined() ? y + shift.unsqueeze(1).to(y.scalar_type()) : y;
}

// Transformer block modulated by the style: a scale and a gate for each half, and with `shifts` a shift before them
// (the order of DiT).
class ModulatedBlockImpl : public torch::nn::Module {
 public:
  ModulatedBlockImpl(const GeneratorConfig& c, const nn::Init& init) : shifts_(c.shifts()) {
    attn_ = register_module("attn", nn::Attention(c.hidden, c.heads, c.qk_norm, init / "attn"));
    mlp_ = register_module("mlp", nn::SwiGlu(c.hidden, init / "mlp"));
    modulation_ = modulation(*this, c.hidden, (shifts_ ? 6 : 4) * c.hidden, init);
  }

  // x [B, T, D], silu_w = SiLU(w) [B, D]
  at::Tensor forward(const at::Tensor& x, const at::Tensor& silu_w, const nn::Rotary& rotary) {
    const auto m = modulation_(silu_w).chunk(shifts_ ? 6 : 4, 1);  // each [B, D]
    const size_t half = m.size() / 2, scale = shifts_ ? 1 : 0, gate = scale + 1;
    const auto shift = [&](size_t of) { return shifts_ ? m[of] : at::Tensor(); };
    const at::Tensor y = nn::gated_residual(x, m[gate], attn_(modulated(x, m[scale], shift(0)), rotary));
    return nn::gated_residual(y, m[half + gate], mlp_(modulated(y, m[half + scale], shift(half))));
  }

 private:
  bool shifts_;
  nn::Attention attn_{nullptr};
  nn::SwiGlu mlp_{nullptr};
  nn::Linear modulation_{nullptr};
};
TORCH_MODULE(ModulatedBlock);

// Tokens to pixels of one stage: x [B, T, D] -> [B, T, p * p * C].
class FinalLayerImpl : public torch::nn::Module {
 public:
  FinalLayerImpl(const GeneratorConfig& c, int64_t channels, const nn::Init& init) : shifts_(c.shifts()) {
    const int64_t pixels = c.patch * c.patch * channels;
    linear_ = register_module("linear", nn::Linear(c.hidden, pixels, init / "linear", c.output_gain));
    modulation_ = modulation(*this, c.hidden, (shifts_ ? 2 : 1) * c.hidden, init);
  }

  at::Tensor forward(const at::Tensor& x, const at::Tensor& silu_w) {
    const auto m = modulation_(silu_w).chunk(shifts_ ? 2 : 1, 1);
    return linear_(modulated(x, m.back(), shifts_ ? m.front() : at::Tensor()));
  }

 private:
  bool shifts_;
  nn::Linear linear_{nullptr}, modulation_{nullptr};
};
TORCH_MODULE(FinalLayer);

}  // namespace

GeneratorImpl::GeneratorImpl(const GeneratorConfig& config, const ImageShape& shape, const nn::Init& init)
    : config_(config), shape_(shape) {
  check_patch(shape, config.patch, "model.generator");
  rows_ = shape.height / config.patch;
  columns_ = shape.width / config.patch;
  rotary_ = nn::rotary_table(rows_, columns_, config.hidden / config.heads);

  y_embedder_ = register_module("y_embedder", nn::LabelTable(shape.num_classes, config.z_dim, init / "y_embedder"));
  latent_embedder_ =
      register_module("latent_embedder", nn::Mapping(2 * config.z_dim, config.hidden, init / "latent_embedder"));
  pos_embed = nn::register_position(*this, "pos_embed", config.pos_embed, rows_, columns_, config.hidden);
  w_avg = register_buffer("w_avg", at::zeros({shape.num_classes, config.hidden}));

  blocks_ = register_module("blocks", torch::nn::ModuleList());
  for (int64_t i = 0; i < config.depth; ++i) blocks_->push_back(ModulatedBlock(config, init / "blocks" / i));
  final_layers_ = register_module("final_layers", torch::nn::ModuleList());
  for (int64_t k = 0; k < config.stages; ++k)
    final_layers_->push_back(FinalLayer(config, shape.channels, init / "final_layers" / k));
}

at::Tensor GeneratorImpl::style(const at::Tensor& z, const at::Tensor& labels) {
  const at::Tensor y = nn::normalize_second_moment(y_embedder_(labels));      // [B, Z]
  return latent_embedder_(at::cat({y, nn::normalize_second_moment(z)}, -1));  // [B, D]
}

at::Tensor GeneratorImpl::truncate(const at::Tensor& w, const at::Tensor& labels, double psi) const {
  return psi == 1 ? w : at::lerp(w_avg.index_select(0, labels).to(w.scalar_type()), w, psi);
}

at::Tensor GeneratorImpl::null_style(const at::Tensor& z) {
  // Here the reference takes the second moment over the classes, not over the width: of the table's columns for y, and
  // of a single value for z, which is the same for every class. Guidance scales in use were chosen with it.
  at::NoGradGuard no_grad;
  const at::Tensor y = nn::normalize_second_moment(y_embedder_->weight.t()).t();      // [num_classes, Z]
  const at::Tensor signs = nn::normalize_second_moment(z.unsqueeze(-1)).squeeze(-1);  // [B, Z]
  std::vector<at::Tensor> means;
  for (const at::Tensor& one : signs.split(1))  // one sample at a time: all classes of a large batch would not fit
    means.push_back(latent_embedder_(at::cat({y, one.expand_as(y)}, 1)).mean(0));
  return at::stack(means);
}

at::Tensor GeneratorImpl::guide(const at::Tensor& w, const at::Tensor& z, const at::Tensor& scale) {
  const at::Tensor w_null = null_style(z);
  return w_null + scale.unsqueeze(1) * (w - w_null);
}

at::Tensor GeneratorImpl::synthesize(const at::Tensor& w) {
  rotary_.to(w.device());
  const at::Tensor silu_w = at::silu(w);
  at::Tensor x = pos_embed.expand({w.size(0), -1, -1});  // [B, T, D]
  at::Tensor image;
  std::vector<at::Tensor> images;
  const int64_t per_stage = config_.depth / config_.stages;
  for (int64_t i = 0; i < config_.depth; ++i) {
    const auto block = [this, i](const std::vector<at::Tensor>& in) {
      return blocks_[i]->as<ModulatedBlock>()->forward(in[0], in[1], rotary_);
    };
    x = nn::run_block(i, block, {x, silu_w});
    if ((i + 1) % per_stage != 0) continue;
    const at::Tensor pixels = final_layers_[i / per_stage]->as<FinalLayer>()->forward(x, silu_w);  // [B, T, p * p * C]
    const at::Tensor added = nn::unpatchify(pixels, rows_, columns_, config_.patch).to(at::kFloat);
    image = image.defined() ? image + added : added;  // [B, C, H, W]
    images.push_back(image);
  }
  return at::stack(images);  // [K, B, C, H, W]
}

void GeneratorImpl::update_style_mean(const at::Tensor& w, const at::Tensor& labels) {
  at::NoGradGuard no_grad;
  const at::Tensor values = w.detach().to(at::kFloat);
  at::Tensor sums = at::zeros_like(w_avg).index_add_(0, labels, values);
  const at::Tensor counts = at::bincount(labels, {}, w_avg.size(0)).unsqueeze(1);  // [num_classes, 1]
  const at::Tensor means = sums / counts.clamp_min(1);
  w_avg.copy_(at::where(counts > 0, at::lerp(means, w_avg, config_.w_avg_beta), w_avg));
}

double GeneratorImpl::flops() const {
  const double d = static_cast<double>(config_.hidden), t = static_cast<double>(rows_ * columns_);
  const double chunks = config_.shifts() ? 6 : 4;
  const double block = nn::block_flops(config_.hidden, rows_ * columns_) + 2 * chunks * d * d;  // with its modulation
  const double pixels = static_cast<double>(config_.patch * config_.patch * shape_.channels);
  const double stage = 2 * t * d * pixels + 2 * (config_.shifts() ? 2 : 1) * d * d;
  const double mapping = 2 * (2 * static_cast<double>(config_.z_dim) * d + d * d);
  return static_cast<double>(config_.depth) * block + static_cast<double>(config_.stages) * stage + mapping;
}

double GeneratorImpl::activation_bytes() const {
  return static_cast<double>(config_.depth) * nn::block_activation_bytes(config_.hidden, rows_ * columns_);
}

}  // namespace gigacat::models::gat
