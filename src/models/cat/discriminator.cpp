#include "gigacat/models/cat/discriminator.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <numeric>

#include "gigacat/nn/activation_checkpoint.h"

// Letters: K stages (scales), N images in the batch, C channels, r_k token rows of scale k, T_k its tokens, p patch,
// D hidden width, F feature width, S = sum over k of (1 + T_k).
namespace gigacat::models::cat {

void ScaleConfig::bind(config::Binder& b) {
  b.field("scales", scales, {}, "token rows of each stage, coarse first; empty: H/p halved from stage to stage",
          {.min = 1, .source = "CAT, open: 2, 4, 8, 16 for H = 32, p = 2"});
  b.field("resize", resize, "area", "how a stage's image comes to its scale",
          {.choices = {"area", "bilinear"}, .source = "CAT, open"});
  b.field("mix", mix, false,
          "tokens of all scales attend to each other: the scale-aggregated discriminator, which does worse",
          {.source = "CAT figure 7"});
}

at::Tensor resize_stage(const at::Tensor& x, int64_t height, int64_t width, const std::string& mode) {
  if (x.size(-2) == height && x.size(-1) == width) return x;
  if (mode == "area") {
    // Whole windows: the same means by an operation whose gradient has the same bits each time on a GPU too.
    if (x.size(-2) % height == 0 && x.size(-1) % width == 0)
      return at::avg_pool2d(x, {x.size(-2) / height, x.size(-1) / width});
    return at::adaptive_avg_pool2d(x, {height, width});
  }
  return at::upsample_bilinear2d(x, {height, width}, /*align_corners=*/false);
}

std::vector<std::pair<int64_t, int64_t>> scale_grids(const ScaleConfig& config, int64_t stages, int64_t rows,
                                                     int64_t columns) {
  std::vector<int64_t> sides = config.scales;
  if (sides.empty()) {
    // Rows that give whole columns are multiples of this.
    const int64_t step = rows / std::gcd(rows, columns);
    for (int64_t k = 0; k < stages; ++k) sides.push_back(std::max(step, (rows >> (stages - 1 - k)) / step * step));
  }
  if (static_cast<int64_t>(sides.size()) != stages)
    fail<UsageError>("model.scales.scales: ", sides.size(), " scales for ", stages, " stages of the generator");
  std::vector<std::pair<int64_t, int64_t>> grids;
  for (const int64_t side : sides) {
    if (side > rows) fail<UsageError>("model.scales.scales: ", side, " token rows, but the image has ", rows);
    if (side * columns % rows != 0)
      fail<UsageError>("model.scales.scales: ", side, " rows of a ", rows, " x ", columns,
                       " grid give no whole columns");
    grids.emplace_back(side, side * columns / rows);
  }
  return grids;
}

std::vector<at::Tensor> scaled_stages(const at::Tensor& images, const std::vector<std::pair<int64_t, int64_t>>& grids,
                                      int64_t patch, const std::string& mode) {
  std::vector<at::Tensor> out;
  for (size_t k = 0; k < grids.size(); ++k)
    out.push_back(resize_stage(images[static_cast<int64_t>(k)], grids[k].first * patch, grids[k].second * patch, mode));
  return out;
}

DiscriminatorImpl::DiscriminatorImpl(const DiscriminatorConfig& config, const ScaleConfig& scales,
                                     const ImageShape& shape, int64_t stages, int64_t features, const nn::Init& init)
    : config_(config), scale_config_(scales) {
  gat::check_patch(shape, config.patch, "model.discriminator");
  grids_ = scale_grids(scales, stages, shape.height / config.patch, shape.width / config.patch);
  std::vector<nn::Rotary> rotary;
  for (const auto& [rows, columns] : grids_) {
    rotary.push_back(nn::rotary_table(rows, columns, config.hidden / config.heads, /*plain=*/1));
    parts_.push_back(1 + rows * columns);
    const std::string name = gigacat::cat("pos_embed_", pos_embed_.size());
    pos_embed_.push_back(nn::register_position(*this, name, config.pos_embed, rows, columns, config.hidden));
  }
  rotary_ = nn::concatenate(rotary);
  if (!scales.mix) attention_parts_ = parts_;

  cls_token_ = register_parameter("cls_token", init.normal("cls_token", {1, stages, config.hidden}, 0.02));
  x_embedder_ =
      register_module("x_embedder", nn::PatchEmbed(shape.channels, config.hidden, config.patch, init / "x_embedder"));
  y_embedder_ =
      register_module("y_embedder", gat::ClassEmbedding(shape.num_classes, config.cmap_dim, init / "y_embedder"));
  blocks_ = register_module("blocks", torch::nn::ModuleList());
  for (int64_t i = 0; i < config.depth; ++i) blocks_->push_back(gat::Block(config, init / "blocks" / i));
  final_layer_ = register_module("final_layer", gat::LogitHead(config.hidden, config.cmap_dim, init / "final_layer"));
  if (features > 0)
    proj_ = register_module("proj", gat::AlignHead(config.hidden, config.projector_dim, features, init / "proj"));
}

DiscriminatorOutput DiscriminatorImpl::forward(const at::Tensor& images, const at::Tensor& labels, int64_t aligned,
                                               bool last_scale_only) {
  rotary_.to(images.device());
  const std::vector<at::Tensor> inputs = scaled(images);
  const int64_t n = images.size(1), stages = static_cast<int64_t>(inputs.size());

  // Scales one behind the other, each with its prediction token first: every scale's attention is a run of its own,
  // which is the block-diagonal mask of the definition without its work.
  std::vector<at::Tensor> tokens;
  for (int64_t k = 0; k < stages; ++k) {
    tokens.push_back(cls_token_.narrow(1, k, 1).expand({n, -1, -1}));
    tokens.push_back(x_embedder_(inputs[k]) + pos_embed_[k]);  // [N, T_k, D]
  }
  at::Tensor x = at::cat(tokens, 1);  // [N, S, D]
  for (int64_t i = 0; i < config_.depth; ++i) {
    const auto block = [this, i](const std::vector<at::Tensor>& in) {
      return blocks_[i]->as<gat::Block>()->forward(in[0], rotary_, attention_parts_);
    };
    x = nn::run_block(i, block, {x});
  }

  DiscriminatorOutput out;
  out.tokens = x;
  const std::vector<at::Tensor> scales = x.split_with_sizes(parts_, 1);
  std::vector<at::Tensor> predictions;
  for (const at::Tensor& scale : scales) predictions.push_back(scale.narrow(1, 0, 1));
  out.logits = gat::class_logits(final_layer_, y_embedder_, at::cat(predictions, 1), labels);  // [N, K]
  if (!proj_ || aligned == 0) return out;

  std::vector<at::Tensor> cls;
  for (int64_t k = last_scale_only ? stages - 1 : 0; k < stages; ++k) {
    const at::Tensor heads = proj_(scales[k].narrow(0, 0, aligned));  // [n, 1 + T_k, F]
    cls.push_back(heads.narrow(1, 0, 1));
    out.align_spatial.push_back(heads.narrow(1, 1, parts_[k] - 1));
    out.align_grids.push_back(grids_[k]);
  }
  out.align_cls = at::cat(cls, 1);  // [n, K or 1, F]
  return out;
}

double DiscriminatorImpl::flops() const {
  if (!scale_config_.mix) return gat::block_flops(config_, parts_);
  return gat::block_flops(config_, {std::accumulate(parts_.begin(), parts_.end(), int64_t{0})});
}

double DiscriminatorImpl::activation_bytes() const {
  int64_t tokens = 0;
  for (const int64_t part : parts_) tokens += part;
  return gat::block_activation_bytes(config_, tokens);
}

}  // namespace gigacat::models::cat
