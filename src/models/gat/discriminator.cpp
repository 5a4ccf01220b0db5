#include "gigacat/models/gat/discriminator.h"

#include <ATen/Functions.h>

#include "gigacat/nn/activation_checkpoint.h"

// Letters: K stages, N images in the batch, C channels, H x W image, T tokens, D hidden width, F feature width.
namespace gigacat::models::gat {

DiscriminatorImpl::DiscriminatorImpl(const DiscriminatorConfig& config, const ImageShape& shape, int64_t stages,
                                     int64_t features, const nn::Init& init)
    : config_(config) {
  check_patch(shape, config.patch, "model.discriminator");
  rows_ = shape.height / config.patch;
  columns_ = shape.width / config.patch;
  rotary_ = nn::rotary_table(rows_, columns_, config.hidden / config.heads, /*plain=*/1);

  cls_token_ = register_parameter("cls_token", init.normal("cls_token", {1, 1, config.hidden}, 0.02));
  pos_embed_ = nn::register_position(*this, "pos_embed", config.pos_embed, rows_, columns_, config.hidden);
  x_embedder_ = register_module(
      "x_embedder", nn::PatchEmbed(stages * shape.channels, config.hidden, config.patch, init / "x_embedder"));
  y_embedder_ = register_module("y_embedder", ClassEmbedding(shape.num_classes, config.cmap_dim, init / "y_embedder"));
  blocks_ = register_module("blocks", torch::nn::ModuleList());
  for (int64_t i = 0; i < config.depth; ++i) blocks_->push_back(Block(config, init / "blocks" / i));
  final_layer_ = register_module("final_layer", LogitHead(config.hidden, config.cmap_dim, init / "final_layer"));
  if (features > 0)
    proj_ = register_module("proj", AlignHead(config.hidden, config.projector_dim, features, init / "proj"));
}

DiscriminatorOutput DiscriminatorImpl::forward(const at::Tensor& images, const at::Tensor& labels, int64_t aligned) {
  rotary_.to(images.device());
  const at::Tensor joined = images.transpose(0, 1).flatten(1, 2);                      // [N, K * C, H, W]
  const at::Tensor patches = x_embedder_(joined) + pos_embed_;                         // [N, T, D]
  at::Tensor x = at::cat({cls_token_.expand({patches.size(0), -1, -1}), patches}, 1);  // [N, 1 + T, D]
  for (int64_t i = 0; i < config_.depth; ++i) {
    const auto block = [this, i](const std::vector<at::Tensor>& in) {
      return blocks_[i]->as<Block>()->forward(in[0], rotary_, {});
    };
    x = nn::run_block(i, block, {x});
  }

  DiscriminatorOutput out;
  out.tokens = x;
  out.logits = class_logits(final_layer_, y_embedder_, x.narrow(1, 0, 1), labels);  // [N, 1]
  if (proj_ && aligned > 0) {
    const at::Tensor heads = proj_(x.narrow(0, 0, aligned));  // [n, 1 + T, F]
    out.align_cls = heads.narrow(1, 0, 1);
    out.align_spatial = {heads.narrow(1, 1, rows_ * columns_)};
    out.align_grids = {{rows_, columns_}};
  }
  return out;
}

double DiscriminatorImpl::flops() const { return block_flops(config_, {1 + rows_ * columns_}); }

double DiscriminatorImpl::activation_bytes() const { return block_activation_bytes(config_, 1 + rows_ * columns_); }

}  // namespace gigacat::models::gat
