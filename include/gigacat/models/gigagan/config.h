// Sizes of GigaGAN's networks. Source: GigaGAN (arXiv 2303.05511), sections 3 and 4 and its appendix.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/models/shape.h"

namespace gigacat::models::gigagan {

// The learned text layers T, one set in each network. F is the width of frozen features; 0: T embeds token ids itself.
struct TextConfig {
  int64_t width, layers, heads, length, vocabulary;
  int64_t features = 0;
  void bind(config::Binder& b);
};

// How the layers of a generator attend and add up, in the base model and in the upsampler.
struct LayerConfig {
  int64_t head_dim, attention_ff;
  double conv_gain, attention_gain;
  std::string cross_logits, null_as;
  bool tied;
  void bind_layers(config::Binder& b);
};

// Lists go by resolution, 4 first: residual blocks of two convolutions, kernels N of a bank, units of attention.
struct GeneratorConfig : LayerConfig {
  int64_t z_dim, w_dim, mapping_layers, channel_base, channel_max;
  double mapping_lr, w_avg_beta;
  std::vector<int64_t> blocks, bank, attention;
  void bind(config::Binder& b);
  int64_t channels(int64_t resolution) const;
};

// blocks by resolution, the finest (the image's) first; attention at those resolutions.
struct DiscriminatorConfig {
  int64_t channel_base, channel_max, head_dim, attention_ff, head_layers, std_group;
  double conv_gain, attention_gain;
  std::vector<int64_t> blocks, attention;
  bool multi_scale, tied;
  void bind(config::Binder& b);
  int64_t channels(int64_t resolution) const;
  // Of a minibatch deviation.
  int64_t samples_together(int64_t batch) const { return std::min(std_group, batch); }
};

// Resolutions 4, 8, ... of a square image. Errors: UsageError when the image is not square with a side of 2^n >= 8.
std::vector<int64_t> resolutions_of(const ImageShape& shape);
// Errors: UsageError when the list `path` has not one entry for each resolution.
void check_list(const std::vector<int64_t>& list, size_t resolutions, const std::string& path);
// Heads of about head_dim channels that divide `width`.
int64_t heads_of(int64_t width, int64_t head_dim);

}  // namespace gigacat::models::gigagan
