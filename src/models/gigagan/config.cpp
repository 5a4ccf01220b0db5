#include "gigacat/models/gigagan/config.h"

#include <algorithm>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"

namespace gigacat::models::gigagan {

void TextConfig::bind(config::Binder& b) {
  b.field("width", width, 768, "width of t_local and t_global", {.min = 8, .source = "CLIP ViT-L/14"});
  b.field("layers", layers, 4, "attention layers of T, in each network", {.min = 1, .max = 64, .source = "appendix"});
  b.field("heads", heads, 12, "attention heads of T", {.min = 1, .source = "open"});
  b.field("length", length, 77, "tokens of a caption; longer ones are cut", {.min = 2, .max = 1024, .source = "CLIP"});
  b.field("vocabulary", vocabulary, 16384, "rows of the table of the words tokenizer", {.min = 2});
  b.check("heads", [this] {
    return width % heads == 0 ? "" : gigacat::cat("width ", width, " is not divisible by heads ", heads);
  });
}

void LayerConfig::bind_layers(config::Binder& b) {
  b.field("attention_ff", attention_ff, 4, "width of a feed-forward relative to the channels",
          {.min = 1, .source = "open"});
  b.field("head_dim", head_dim, 64, "width of an attention head, about", {.min = 4, .source = "open"});
  b.field("tied", tied, true, "queries and keys of self-attention by one projection", {.source = "GigaGAN section 3"});
  b.field("cross_logits", cross_logits, "dot", "logits of cross-attention",
          {.choices = {"dot", "l2"}, .source = "open"});
  b.field("null_as", null_as, "token",
          "what a pixel attends to that attends to no word: a learned token, or key and value",
          {.choices = {"token", "kv"}, .source = "open"});
  b.field("conv_gain", conv_gain, 0.4, "gain of a block's convolutions on its residual",
          {.min = 0, .source = "appendix"});
  b.field("attention_gain", attention_gain, 0.3, "gain of attention and feed-forward on their residual",
          {.min = 0, .source = "appendix"});
}

void GeneratorConfig::bind(config::Binder& b) {
  b.field("z_dim", z_dim, 128, "width of z", {.min = 1, .source = "GigaGAN section 3"});
  b.field("w_dim", w_dim, 1024, "width of the style vector w", {.min = 1, .source = "appendix"});
  b.field("mapping_layers", mapping_layers, 4, "layers of the mapping", {.min = 1, .max = 32, .source = "appendix"});
  b.field("mapping_lr", mapping_lr, 0.01, "learning rate of the mapping relative to the rest",
          {.min = 1e-6, .max = 1, .source = "StyleGAN2; open"});
  b.field("channel_base", channel_base, 16384, "channels are min(channel_base / resolution, channel_max)",
          {.min = 4, .source = "appendix"});
  b.field("channel_max", channel_max, 1600, "most channels of a layer", {.min = 4, .source = "appendix"});
  b.field("blocks", blocks, {3, 3, 3, 2, 2}, "residual blocks of two convolutions, by resolution from 4",
          {.min = 1, .max = 64, .source = "appendix"});
  b.field("bank", bank, {1, 1, 2, 4, 8}, "kernels N of an adaptive convolution, by resolution from 4",
          {.min = 1, .max = 64, .source = "appendix"});
  b.field("attention", attention, {0, 2, 2, 1, 0}, "units of self- and cross-attention, by resolution from 4",
          {.min = 0, .max = 64, .source = "appendix"});
  bind_layers(b);
  b.field("w_avg_beta", w_avg_beta, 0.998, "decay of the mean style", {.min = 0, .max = 1, .source = "StyleGAN2"});
}

void DiscriminatorConfig::bind(config::Binder& b) {
  b.field("channel_base", channel_base, 16384, "channels are min(channel_base / resolution, channel_max)",
          {.min = 4, .source = "appendix"});
  b.field("channel_max", channel_max, 1536, "most channels of a layer", {.min = 4, .source = "appendix"});
  b.field("blocks", blocks, {1, 2, 2, 2, 2}, "residual blocks of two convolutions, by resolution, the finest first",
          {.min = 1, .max = 64, .source = "appendix"});
  b.field("attention", attention, {8, 16, 32}, "resolutions with a unit of self-attention",
          {.min = 4, .source = "GigaGAN section 3"});
  b.field("attention_ff", attention_ff, 4, "width of a feed-forward relative to the channels",
          {.min = 1, .source = "open"});
  b.field("head_dim", head_dim, 64, "width of an attention head, about", {.min = 4, .source = "open"});
  b.field("tied", tied, true, "queries and keys by one projection", {.source = "GigaGAN section 3"});
  b.field("head_layers", head_layers, 4, "modulated 1 x 1 convolutions of a prediction head",
          {.min = 1, .max = 16, .source = "GigaGAN section 3"});
  b.field("std_group", std_group, 4, "samples of a minibatch deviation", {.min = 1, .source = "StyleGAN2"});
  b.field("multi_scale", multi_scale, true,
          "every level of the pyramid is judged at every coarser scale; off: the finest at the last",
          {.source = "GigaGAN section 3"});
  b.field("conv_gain", conv_gain, 0.4, "gain of a block's convolutions on its residual",
          {.min = 0, .source = "appendix"});
  b.field("attention_gain", attention_gain, 0.3, "gain of attention and feed-forward on their residual",
          {.min = 0, .source = "appendix"});
}

int64_t GeneratorConfig::channels(int64_t resolution) const { return std::min(channel_base / resolution, channel_max); }
int64_t DiscriminatorConfig::channels(int64_t resolution) const {
  return std::min(channel_base / resolution, channel_max);
}

std::vector<int64_t> resolutions_of(const ImageShape& shape) {
  std::vector<int64_t> all;
  int64_t side = 4;
  for (; side < shape.height; side *= 2) all.push_back(side);
  if (shape.height != shape.width || side != shape.height || side < 8)
    fail<UsageError>("data.resolution: GigaGAN makes square images of 8, 16, 32, ... px, not ", shape.height, " x ",
                     shape.width);
  all.push_back(side);
  return all;
}

void check_list(const std::vector<int64_t>& list, size_t resolutions, const std::string& path) {
  if (list.size() != resolutions)
    fail<UsageError>(path, ": ", list.size(), " entries for ", resolutions, " resolutions from 4 on");
}

int64_t heads_of(int64_t width, int64_t head_dim) {
  int64_t heads = std::max<int64_t>(1, width / head_dim);
  while (width % heads != 0) --heads;
  return heads;
}

}  // namespace gigacat::models::gigagan
