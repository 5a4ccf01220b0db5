#include "gigacat/models/gigagan/discriminator.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "gigacat/nn/activation_checkpoint.h"
#include "gigacat/nn/minibatch_std.h"
#include "gigacat/nn/resample.h"

// Letters as in the header; C channels, r resolution.
namespace gigacat::models::gigagan {
namespace {

constexpr int64_t kVisionWidth = 256;  // of a vision-aided head

}  // namespace

std::vector<std::pair<int64_t, int64_t>> prediction_pairs(int64_t levels, bool multi_scale) {
  if (!multi_scale) return {{0, levels}};
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (int64_t i = 0; i < levels; ++i)
    for (int64_t j = i + 1; j <= levels; ++j) pairs.emplace_back(i, j);
  return pairs;
}

std::vector<at::Tensor> image_pyramid(const at::Tensor& x, int64_t levels) {
  std::vector<at::Tensor> pyramid{x};
  while (std::ssize(pyramid) < levels) pyramid.push_back(nn::downsample2d(pyramid.back()));
  return pyramid;
}

DiscriminatorImpl::DiscriminatorImpl(const DiscriminatorConfig& config, const TextConfig& text, const ImageShape& shape,
                                     const std::vector<int64_t>& vision, const nn::Init& init)
    : config_(config), text_config_(text), image_channels_(shape.channels), resolutions_(resolutions_of(shape)) {
  std::reverse(resolutions_.begin(), resolutions_.end());
  check_list(config.blocks, resolutions_.size(), "model.discriminator.blocks");
  text_ = register_module("text", TextLayers(text, init / "text"));
  const int64_t levels = std::ssize(resolutions_);
  for (int64_t i = 0; i < (config.multi_scale ? levels : 1); ++i) {
    const std::string name = gigacat::cat("rgb", i);
    from_rgb_.push_back(register_module(
        name,
        nn::EqualizedConv(shape.channels, config.channels(resolutions_[static_cast<size_t>(i)]), 1, init / name)));
  }
  for (int64_t j = 1; j <= levels; ++j) {
    const auto place = static_cast<size_t>(j - 1);
    stages_.push_back(make_stage(place, init / gigacat::cat("s", j)));
    heads_.emplace_back(nullptr);
    if (!config.multi_scale && j < levels) continue;
    const std::string name = gigacat::cat("head", j);
    heads_.back() =
        register_module(name, PredictionHead(scale_channels(place), text.width, config.head_layers, init / name));
  }
  for (size_t l = 0; l < vision.size(); ++l) {
    const std::string name = gigacat::cat("vision", l);
    vision_.push_back(
        register_module(name, VisionHead(vision[l], std::min(kVisionWidth, vision[l]), text.width, init / name)));
  }
}

// The channels of the next resolution, or of the last for the vector at the end.
int64_t DiscriminatorImpl::scale_channels(size_t place) const {
  return config_.channels(resolutions_[std::min(place + 1, resolutions_.size() - 1)]);
}

bool DiscriminatorImpl::attends(int64_t resolution) const {
  return std::find(config_.attention.begin(), config_.attention.end(), resolution) != config_.attention.end();
}

AttentionSizes DiscriminatorImpl::attention_sizes(int64_t resolution) const {
  const int64_t c = config_.channels(resolution);
  return {c, heads_of(c, config_.head_dim), config_.attention_ff, config_.attention_gain, config_.tied};
}

DiscriminatorImpl::Stage DiscriminatorImpl::make_stage(size_t place, const nn::Init& init) {
  Stage stage{.resolution = resolutions_[place]};
  auto owner = register_module(gigacat::cat("s", place + 1), std::make_shared<torch::nn::Module>());
  const bool last = place + 1 == resolutions_.size();
  const int64_t c = config_.channels(stage.resolution), out = scale_channels(place), count = config_.blocks[place];
  for (int64_t i = 0; i < count; ++i) {
    const bool down = i + 1 == count && !last;
    const std::string name = gigacat::cat("block", i);
    stage.blocks.push_back(
        owner->register_module(name, TrunkBlock(c, down ? out : c, down, config_.conv_gain, init / name)));
  }
  const int64_t after = stage.resolution / 2;
  if (!last && attends(after))
    stage.attention = owner->register_module("self", SelfAttention(attention_sizes(after), 0, init / "self"));
  if (last) {
    stage.conv = owner->register_module("conv", nn::EqualizedConv(c + 1, c, 3, init / "conv"));
    stage.dense = owner->register_module("dense", nn::EqualizedLinear(c * 16, c, init / "dense"));
  }
  return stage;
}

// f [n, C, r, r] -> [n, C', r / 2, r / 2], of the last stage [n, C, 1, 1].
at::Tensor DiscriminatorImpl::run_stage(size_t place, const at::Tensor& f, int64_t parts) {
  Stage& stage = stages_[place];
  const auto run = [this, &stage, parts](const std::vector<at::Tensor>& in) {
    at::Tensor y = in[0];
    for (TrunkBlock& block : stage.blocks) y = block(y);
    if (!stage.attention.is_empty()) y = to_features(stage.attention(to_tokens(y), at::Tensor()), y.size(2), y.size(3));
    if (stage.conv.is_empty()) return y;
    std::vector<at::Tensor> runs;
    for (const at::Tensor& part : y.chunk(parts)) runs.push_back(nn::minibatch_std(part, config_.std_group));
    y = stage.conv->activated(at::cat(runs));
    return nn::leaky_relu(stage.dense(y.flatten(1))).unsqueeze(2).unsqueeze(3);
  };
  return nn::run_block(static_cast<int64_t>(place), run, {f});
}

TrunkFeatures DiscriminatorImpl::features(const std::vector<at::Tensor>& pyramid, int64_t parts) {
  TrunkFeatures found{.scales = {}, .images = pyramid[0].size(0)};
  at::Tensor f;  // levels that have entered, one behind the other
  for (size_t place = 0; place < stages_.size(); ++place) {
    if (place < from_rgb_.size()) {
      const at::Tensor entering = from_rgb_[place]->activated(pyramid[place]);  // [N, C, r, r]
      f = f.defined() ? at::cat({f, entering}) : entering;
    }
    f = run_stage(place, f, parts * f.size(0) / found.images);
    found.scales.push_back(f);
  }
  return found;
}

std::vector<Prediction> DiscriminatorImpl::discriminate(const TrunkFeatures& features, const at::Tensor& t) {
  const int64_t levels = std::ssize(resolutions_);
  std::vector<std::vector<at::Tensor>> by_scale(static_cast<size_t>(levels));
  for (size_t place = 0; place < heads_.size(); ++place) {
    if (heads_[place].is_empty()) continue;
    const at::Tensor& f = features.scales[place];
    const at::Tensor logits = heads_[place](f, t.repeat({f.size(0) / features.images, 1}));
    by_scale[place] = logits.split(features.images);
  }
  std::vector<Prediction> predictions;
  for (const auto& [i, j] : prediction_pairs(levels, config_.multi_scale))
    predictions.push_back({i, j, by_scale[static_cast<size_t>(j - 1)][static_cast<size_t>(i)]});
  return predictions;
}

std::vector<at::Tensor> DiscriminatorImpl::discriminate_vision(const std::vector<at::Tensor>& features,
                                                               const at::Tensor& t) {
  GIGACAT_CHECK(features.size() == vision_.size(), features.size(), " layers, ", vision_.size(), " heads");
  std::vector<at::Tensor> logits;
  for (size_t l = 0; l < features.size(); ++l) logits.push_back(vision_[l](features[l], t).to(at::kFloat));
  return logits;
}

double DiscriminatorImpl::flops() const {
  double sum = text_->flops();
  for (size_t place = 0; place < stages_.size(); ++place) {
    const double entered = static_cast<double>(std::min(place + 1, from_rgb_.size()));
    const int64_t r = stages_[place].resolution;
    const double pixels = static_cast<double>(r * r), c = static_cast<double>(config_.channels(r));
    const double out = static_cast<double>(scale_channels(place));
    const double count = static_cast<double>(config_.blocks[place]);
    const bool last = place + 1 == stages_.size();
    double stage = 2 * pixels * 9 * c * c * (2 * count - (last ? 0 : 1));
    if (!last) stage += 2 * pixels / 4 * c * out * (9 + (c != out ? 1 : 0));
    if (last) stage += 2 * pixels * 9 * (c + 1) * c + 2 * 16 * c * c;
    if (!stages_[place].attention.is_empty()) stage += self_attention_flops(attention_sizes(r / 2), r * r / 4);
    if (!heads_[place].is_empty())
      stage += 2 * (last ? 1 : pixels / 4) * out * out * static_cast<double>(config_.head_layers - 1);
    if (place < from_rgb_.size()) sum += 2 * pixels * c * static_cast<double>(image_channels_);
    sum += entered * stage;
  }
  return sum;
}

double DiscriminatorImpl::activation_bytes() const {
  double floats = 0;
  for (size_t place = 0; place < stages_.size(); ++place) {
    const int64_t r = stages_[place].resolution;
    const double entered = static_cast<double>(std::min(place + 1, from_rgb_.size()));
    const double features = static_cast<double>(r * r * config_.channels(r));
    // A block keeps its input, each convolution's output and activation, and the filtered copies before a stride.
    double stage = features * 6 * static_cast<double>(config_.blocks[place]);
    if (!stages_[place].attention.is_empty())
      stage += static_cast<double>(r * r / 4 * scale_channels(place) * (8 + 2 * config_.attention_ff));
    floats += entered * stage;
  }
  return 4 * floats;
}

}  // namespace gigacat::models::gigagan
