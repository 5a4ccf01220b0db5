// Letters: B batch, T tokens (class, R registers, N patches), D width, h heads.
#include "gigacat/pretrained/dinov2.h"

#include <ATen/ATen.h>

#include <cmath>
#include <optional>

#include "gigacat/core/error.h"

namespace gigacat::pretrained {
namespace {

constexpr double kDinov2Eps = 1e-6;
constexpr int64_t kHeadWidth = 64;
constexpr double kGridOffset = 0.1;  // keeps the scaled grid from rounding down
constexpr const char* kDinov2 = "DINOv2";

int64_t square_root(int64_t n) {
  const auto root = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(n))));
  return root * root == n ? root : 0;
}

}  // namespace

namespace dinov2_blocks {

// x + gamma * attention(norm(x)), then the same with an MLP. [B, T, D] of one shape.
class Block : public torch::nn::Module {
 public:
  Block(int64_t width, int64_t hidden, int64_t heads) : heads_(heads) {
    norm1_ = register_module("norm1", LayerNorm(width, kDinov2Eps));
    qkv_ = place(*this, "attn.qkv", Linear(width, 3 * width));
    proj_ = place(*this, "attn.proj", Linear(width, width));
    norm2_ = register_module("norm2", LayerNorm(width, kDinov2Eps));
    fc1_ = place(*this, "mlp.fc1", Linear(width, hidden));
    fc2_ = place(*this, "mlp.fc2", Linear(hidden, width));
    const auto gamma = [&](const char* path) {
      std::string name;
      return add_parameter(group_of(*this, path, name), "gamma", {width});
    };
    gamma1_ = gamma("ls1.gamma");
    gamma2_ = gamma("ls2.gamma");
  }
  at::Tensor forward(const at::Tensor& x) {
    const std::vector<at::Tensor> qkv = qkv_(norm1_(x)).chunk(3, -1);  // [B, T, D] each
    const at::Tensor mixed = x.addcmul(proj_(attend(qkv[0], qkv[1], qkv[2], heads_)), gamma1_);
    return mixed.addcmul(fc2_(at::gelu(fc1_(norm2_(mixed)))), gamma2_);
  }

 private:
  int64_t heads_;
  LayerNorm norm1_{nullptr}, norm2_{nullptr};
  Linear qkv_{nullptr}, proj_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
  at::Tensor gamma1_, gamma2_;
};

}  // namespace dinov2_blocks

Dinov2Config Dinov2Config::deduce(const weights::Weights& weights) {
  const at::Tensor &proj = weights.at("patch_embed.proj.weight", kDinov2), &table = weights.at("pos_embed", kDinov2),
                   &fc1 = weights.at("blocks.0.mlp.fc1.weight", kDinov2);
  if (proj.dim() != 4 || table.dim() != 3 || fc1.dim() != 2)
    weights::refuse(weights, kDinov2, "patch_embed.proj, pos_embed or blocks.0.mlp.fc1 has not its dimensions");
  Dinov2Config config;
  config.width = proj.size(0);
  config.patch = proj.size(2);
  config.hidden = fc1.size(0);
  config.heads = config.width / kHeadWidth;
  config.grid = square_root(table.size(1) - 1);
  if (config.grid == 0 || config.heads == 0)
    weights::refuse(weights, kDinov2, cat("pos_embed of ", table.sizes(), " is no class position and square grid"));
  config.registers = weights.has("register_tokens") ? weights.at("register_tokens", kDinov2).size(1) : 0;
  config.depth = 0;
  while (weights.has(cat("blocks.", config.depth, ".norm1.weight"))) ++config.depth;
  return config;
}

std::string Dinov2Config::name() const {
  const std::string size = width == 384 ? "s" : width == 768 ? "b" : width == 1024 ? "l" : std::to_string(width);
  return cat("dinov2-", size, registers > 0 ? "-reg" : "");
}

Dinov2Impl::Dinov2Impl(const Dinov2Config& config, GridResampling resampling)
    : config_(config), resampling_(resampling) {
  const int64_t d = config.width;
  cls_token_ = add_parameter(*this, "cls_token", {1, 1, d});
  pos_embed_ = add_parameter(*this, "pos_embed", {1, 1 + config.grid * config.grid, d});
  if (config.registers > 0) register_tokens_ = add_parameter(*this, "register_tokens", {1, config.registers, d});
  const Conv2dShape patches{3, d, {config.patch, config.patch}, {0, 0}, config.patch};
  proj_ = place(*this, "patch_embed.proj", Conv2d(patches));
  for (int64_t i = 0; i < config.depth; ++i) {
    auto block = std::make_shared<dinov2_blocks::Block>(d, config.hidden, config.heads);
    blocks_.push_back(place(*this, cat("blocks.", i), std::move(block)));
  }
  norm_ = register_module("norm", LayerNorm(d, kDinov2Eps));
}

at::Tensor Dinov2Impl::positions(int64_t rows, int64_t columns) {
  if (rows == config_.grid && columns == config_.grid) return pos_embed_;
  if (resampled_.defined() && rows == resampled_rows_ && columns == resampled_columns_) return resampled_;
  const at::NoGradGuard no_grad;
  const int64_t grid = config_.grid;
  const at::Tensor table = pos_embed_.narrow(1, 1, grid * grid).to(at::kFloat);
  const at::Tensor square = table.view({1, grid, grid, -1}).permute({0, 3, 1, 2});  // [1, D, 37, 37]
  at::Tensor scaled;                                                                // [1, D, rows, columns]
  if (resampling_ == GridResampling::official && config_.registers == 0) {
    const auto scale = [grid](int64_t n) { return (static_cast<double>(n) + kGridOffset) / static_cast<double>(grid); };
    const double scales[] = {scale(rows), scale(columns)};
    scaled = at::upsample_bicubic2d(square, std::nullopt, /*align_corners=*/false, c10::ArrayRef<double>(scales));
  } else {
    scaled = at::_upsample_bicubic2d_aa(square, {rows, columns}, /*align_corners=*/false);
  }
  GIGACAT_CHECK(scaled.size(2) == rows && scaled.size(3) == columns, scaled.sizes());
  const at::Tensor patches = scaled.permute({0, 2, 3, 1}).flatten(1, 2).to(pos_embed_.scalar_type());
  resampled_ = at::cat({pos_embed_.narrow(1, 0, 1), patches}, 1);
  resampled_rows_ = rows;
  resampled_columns_ = columns;
  return resampled_;
}

Dinov2Output Dinov2Impl::forward(const at::Tensor& images, const StageObserver& observe) {
  GIGACAT_CHECK(images.size(2) % config_.patch == 0 && images.size(3) % config_.patch == 0, images.sizes());
  const at::NoGradGuard no_grad;
  const int64_t b = images.size(0), r = config_.registers;
  const at::Tensor cells = proj_(images.to(cls_token_.device(), cls_token_.scalar_type()));  // [B, D, H / 14, W / 14]
  const at::Tensor patches = cells.flatten(2).transpose(1, 2);                               // [B, N, D]
  at::Tensor x = at::cat({cls_token_.expand({b, -1, -1}), patches}, 1) + positions(cells.size(2), cells.size(3));
  if (r > 0) {  // [B, 1 + R + N, D]
    const at::Tensor after = x.narrow(1, 1, patches.size(1));
    x = at::cat({x.narrow(1, 0, 1), register_tokens_.expand({b, -1, -1}), after}, 1);
  }
  for (size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i]->forward(x);
    if (observe) observe(cat("blocks.", i), x);
  }
  x = norm_(x);
  return {x.select(1, 0), x.narrow(1, 1, r), x.narrow(1, 1 + r, patches.size(1))};
}

Dinov2 load_dinov2(const weights::Weights& weights, const weights::LoadOptions& options, GridResampling resampling) {
  weights::Weights used = weights;
  used.tensors.erase("mask_token");  // of the training alone
  if (auto found = used.tensors.extract("reg_token"); !found.empty()) {
    found.key() = "register_tokens";
    used.tensors.insert(std::move(found));
  }
  if (const auto table = used.tensors.find("pos_embed"); table != used.tensors.end() && table->second.dim() == 3)
    if (square_root(table->second.size(1)) != 0)  // timm with registers: no class position
      table->second = at::constant_pad_nd(table->second, {0, 0, 1, 0});
  Dinov2 dinov2(Dinov2Config::deduce(used), resampling);
  weights::assign(*dinov2, used, kDinov2, options);
  return dinov2;
}

}  // namespace gigacat::pretrained
