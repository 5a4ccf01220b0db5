// Letters: B batch, T tokens, D width of a tower, E embedding, N patches.
#include "gigacat/pretrained/clip.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "gigacat/core/error.h"

namespace gigacat::pretrained {
namespace {

constexpr double kClipEps = 1e-5;
constexpr const char* kClip = "CLIP";
constexpr double kMean[] = {0.48145466, 0.4578275, 0.40821073}, kDeviation[] = {0.26862954, 0.26130258, 0.27577711};
const std::string kText = "text_model.", kImage = "vision_model.";

at::Tensor gelu(const at::Tensor& x, bool quick) { return quick ? x * at::sigmoid(1.702 * x) : at::gelu(x); }

int64_t released_heads(int64_t width) { return width >= 1280 ? 16 : width / 64; }

// First place of the largest id of each row: [B, T] -> [B].
at::Tensor end_places(const at::Tensor& ids) {
  const int64_t length = ids.size(1);
  const at::Tensor place = at::arange(length, ids.options().dtype(at::kLong)).expand_as(ids);
  return place.masked_fill(ids != ids.amax(1, /*keepdim=*/true), length).amin(1);
}

}  // namespace

namespace clip_parts {

// x + attention(norm(x)), then the same with an MLP. [B, T, D] of one shape.
class Block : public torch::nn::Module {
 public:
  Block(const ClipTower& c, bool causal, bool quick) : heads_(c.heads), causal_(causal), quick_(quick) {
    norm1_ = register_module("layer_norm1", LayerNorm(c.width, kClipEps));
    norm2_ = register_module("layer_norm2", LayerNorm(c.width, kClipEps));
    q_ = place(*this, "self_attn.q_proj", Linear(c.width, c.width));
    k_ = place(*this, "self_attn.k_proj", Linear(c.width, c.width));
    v_ = place(*this, "self_attn.v_proj", Linear(c.width, c.width));
    out_ = place(*this, "self_attn.out_proj", Linear(c.width, c.width));
    fc1_ = place(*this, "mlp.fc1", Linear(c.width, c.hidden));
    fc2_ = place(*this, "mlp.fc2", Linear(c.hidden, c.width));
  }
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor a = norm1_(x), mixed = x + out_(attend(q_(a), k_(a), v_(a), heads_, causal_));
    return mixed + fc2_(gelu(fc1_(norm2_(mixed)), quick_));
  }

 private:
  int64_t heads_;
  bool causal_, quick_;
  LayerNorm norm1_{nullptr}, norm2_{nullptr};
  Linear q_{nullptr}, k_{nullptr}, v_{nullptr}, out_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
};

class Tower : public torch::nn::Module {
 public:
  Tower(const ClipTower& config, bool causal, bool quick) {
    for (int64_t i = 0; i < config.depth; ++i)
      blocks_.push_back(place(*this, cat("layers.", i), std::make_shared<Block>(config, causal, quick)));
  }
  // [B, T, D] -> the last block's output and its input; `seen`, if there is one, gets every block's output.
  std::pair<at::Tensor, at::Tensor> forward(at::Tensor x, std::vector<at::Tensor>* seen = nullptr) {
    at::Tensor before;
    for (auto& block : blocks_) {
      before = x;
      x = block->forward(x);
      if (seen) seen->push_back(x);
    }
    return {x, before};
  }

 private:
  std::vector<std::shared_ptr<Block>> blocks_;
};

}  // namespace clip_parts

ClipConfig ClipConfig::deduce(const weights::Weights& weights) {
  const auto sized = [&](const std::string& name, int64_t dim) -> const at::Tensor& {
    const at::Tensor& tensor = weights.at(name, kClip);
    if (tensor.dim() != dim) weights::refuse(weights, kClip, cat(name, " has ", tensor.dim(), " dimensions for ", dim));
    return tensor;
  };
  const auto tower = [&](const std::string& prefix) {
    ClipTower t;
    while (weights.has(cat(prefix, "encoder.layers.", t.depth, ".layer_norm1.weight"))) ++t.depth;
    const at::Tensor& fc1 = sized(prefix + "encoder.layers.0.mlp.fc1.weight", 2);
    t.hidden = fc1.size(0);
    t.width = fc1.size(1);
    t.heads = released_heads(t.width);
    return t;
  };
  ClipConfig config;
  config.embedding = 0;
  if (weights.has(kText + "embeddings.token_embedding.weight")) {
    config.text = tower(kText);
    config.vocabulary = sized(kText + "embeddings.token_embedding.weight", 2).size(0);
    config.context = sized(kText + "embeddings.position_embedding.weight", 2).size(0);
    if (weights.has("text_projection.weight")) config.embedding = sized("text_projection.weight", 2).size(0);
  }
  if (weights.has(kImage + "embeddings.class_embedding")) {
    config.image = tower(kImage);
    config.patch = sized(kImage + "embeddings.patch_embedding.weight", 4).size(2);
    const int64_t places = sized(kImage + "embeddings.position_embedding.weight", 2).size(0) - 1;
    config.size = config.patch * std::lround(std::sqrt(static_cast<double>(places)));
    if (weights.has("visual_projection.weight")) config.embedding = sized("visual_projection.weight", 2).size(0);
  }
  if (config.text.depth + config.image.depth == 0)
    weights::refuse(weights, kClip, "it has neither a text nor an image tower");
  config.quick_gelu = config.image.width <= 1024;
  return config;
}

ClipImpl::ClipImpl(const ClipConfig& c) : config_(c) {
  const auto table = [this](const std::string& path, at::IntArrayRef shape) {
    std::string name;
    torch::nn::Module& group = group_of(*this, path, name);
    return add_parameter(group, name, shape);
  };
  if (c.text.depth > 0) {
    const int64_t d = c.text.width;
    token_table_ = table(kText + "embeddings.token_embedding.weight", {c.vocabulary, d});
    text_positions_ = table(kText + "embeddings.position_embedding.weight", {c.context, d});
    text_tower_ = place(*this, kText + "encoder", std::make_shared<clip_parts::Tower>(c.text, true, c.quick_gelu));
    final_norm_ = place(*this, kText + "final_layer_norm", LayerNorm(d, kClipEps));
    if (c.embedding > 0) text_projection_ = register_module("text_projection", Linear(d, c.embedding, false));
  }
  if (c.image.depth > 0) {
    const int64_t d = c.image.width, side = c.size / c.patch;
    class_embedding_ = table(kImage + "embeddings.class_embedding", {d});
    image_positions_ = table(kImage + "embeddings.position_embedding.weight", {1 + side * side, d});
    const Conv2dShape patches{3, d, {c.patch, c.patch}, {0, 0}, c.patch, /*bias=*/false};
    patches_ = place(*this, kImage + "embeddings.patch_embedding", Conv2d(patches));
    pre_norm_ = place(*this, kImage + "pre_layrnorm", LayerNorm(d, kClipEps));  // spelled so
    image_tower_ = place(*this, kImage + "encoder", std::make_shared<clip_parts::Tower>(c.image, false, c.quick_gelu));
    post_norm_ = place(*this, kImage + "post_layernorm", LayerNorm(d, kClipEps));
    if (c.embedding > 0) image_projection_ = register_module("visual_projection", Linear(d, c.embedding, false));
  }
  if (text_projection_ && image_projection_) logit_scale_ = add_parameter(*this, "logit_scale", {});
}

ClipOutput ClipImpl::text(const at::Tensor& ids) {
  if (!text_tower_) fail("CLIP: the weights hold no text tower");
  const at::Tensor tokens = ids.to(token_table_.device(), at::kLong);  // [B, T]
  const at::Tensor x = at::embedding(token_table_, tokens) + text_positions_.narrow(0, 0, tokens.size(1));
  const auto [last, before] = text_tower_->forward(x);
  ClipOutput out{.hidden = final_norm_(last), .penultimate = before};
  out.pooled = out.hidden.index({at::arange(tokens.size(0), tokens.options()), end_places(tokens)});  // [B, D]
  if (text_projection_) out.embedding = text_projection_(out.pooled);
  return out;
}

ClipOutput ClipImpl::image(const at::Tensor& images) {
  std::vector<at::Tensor> none;
  return image(images, {}, none);
}

ClipOutput ClipImpl::image(const at::Tensor& images, const std::vector<int64_t>& blocks,
                           std::vector<at::Tensor>& hidden) {
  if (!image_tower_) fail("CLIP: the weights hold no image tower");
  GIGACAT_CHECK(images.size(2) == config_.size && images.size(3) == config_.size, images.sizes());
  const at::Tensor pixels = images.to(class_embedding_.device(), class_embedding_.scalar_type());
  const at::Tensor patches = patches_(pixels).flatten(2).transpose(1, 2);           // [B, N, D]
  const at::Tensor first = class_embedding_.expand({images.size(0), 1, -1});        // [B, 1, D]
  const at::Tensor x = pre_norm_(at::cat({first, patches}, 1) + image_positions_);  // [B, 1 + N, D]
  std::vector<at::Tensor> every;
  const auto [last, before] = image_tower_->forward(x, blocks.empty() ? nullptr : &every);
  for (const int64_t block : blocks) hidden.push_back(every.at(static_cast<size_t>(block - 1)));
  ClipOutput out{.hidden = last, .penultimate = before, .pooled = post_norm_(last.select(1, 0))};
  if (image_projection_) out.embedding = image_projection_(out.pooled);
  return out;
}

Clip load_clip(const weights::Weights& weights, const weights::LoadOptions& options, const ClipOverrides& overrides) {
  const weights::Weights used = clip_names(weights);
  ClipConfig config = ClipConfig::deduce(used);
  config.text.heads = overrides.text_heads.value_or(config.text.heads);
  config.image.heads = overrides.image_heads.value_or(config.image.heads);
  config.quick_gelu = overrides.quick_gelu.value_or(config.quick_gelu);
  for (const ClipTower& tower : {config.text, config.image})
    if (tower.depth > 0 && (tower.heads == 0 || tower.width % tower.heads != 0))
      weights::refuse(used, kClip,
                      cat("a tower's width ", tower.width, " is not divisible by ", tower.heads, " heads"));
  Clip clip(config);
  weights::assign(*clip, used, kClip, options);
  return clip;
}

at::Tensor clip_normalize(const at::Tensor& images) {
  const auto channels = [&](const double* values) {
    return at::tensor(c10::ArrayRef<double>(values, 3), images.options()).view({3, 1, 1});
  };
  return (images - channels(kMean)) / channels(kDeviation);
}

}  // namespace gigacat::pretrained
