#include "gigacat/pretrained/features.h"

#include <ATen/Functions.h>

#include <cmath>
#include <span>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/random.h"
#include "gigacat/pretrained/dinov2.h"
#include "gigacat/weights/known_weights.h"

namespace gigacat::pretrained {
namespace {

// A fixed random projection of 14 px patches: shapes and speed of no real encoder, the interface of one.
class FakeEncoder : public FeatureEncoder {
 public:
  explicit FakeEncoder(at::Device device) {
    at::Tensor weight = at::empty({kWidth, 3 * kPatch * kPatch}, at::kFloat);
    Stream(0, "pretrained.fake").normal(0, 0, std::span<float>(weight.data_ptr<float>(), weight.numel()));
    weight_ = weight.to(device) / std::sqrt(static_cast<double>(weight.size(1)));
  }
  at::Tensor encode(const at::Tensor& images) override {
    at::NoGradGuard no_grad;
    const int64_t b = images.size(0);
    const at::Tensor cells = images.unflatten(3, {-1, kPatch}).unflatten(2, {-1, kPatch});
    const at::Tensor patches = cells.permute({0, 2, 4, 1, 3, 5}).reshape({b, -1, 3 * kPatch * kPatch});
    const at::Tensor tokens = at::linear(patches, weight_);  // [B, N, F]
    return at::cat({tokens.mean(1, /*keepdim=*/true), tokens}, 1);
  }
  int64_t input_size() const override { return 224; }
  int64_t width() const override { return kWidth; }

  static constexpr int64_t kPatch = 14, kWidth = 32;

 private:
  at::Tensor weight_;
};

class Dinov2Encoder : public FeatureEncoder {
 public:
  explicit Dinov2Encoder(Dinov2 network) : network_(std::move(network)) {}
  at::Tensor encode(const at::Tensor& images) override {
    const Dinov2Output out = network_->forward(images);
    return at::cat({out.cls.unsqueeze(1), out.patches}, 1).to(at::kFloat);  // [B, 1 + N, F]
  }
  int64_t input_size() const override { return 224; }
  int64_t width() const override { return network_->config().width; }

 private:
  Dinov2 network_;
};

struct Known {
  const char* name;
  int64_t width;
};

constexpr Known kKnown[] = {
    {"fake", FakeEncoder::kWidth}, {"dinov2-s", 384},     {"dinov2-b", 768},     {"dinov2-l", 1024},
    {"dinov2-s-reg", 384},         {"dinov2-b-reg", 768}, {"dinov2-l-reg", 1024}};

}  // namespace

std::vector<std::string> feature_encoders() {
  std::vector<std::string> names;
  for (const Known& known : kKnown) names.push_back(known.name);
  return names;
}

int64_t feature_width(const std::string& name) {
  for (const Known& known : kKnown)
    if (name == known.name) return known.width;
  fail<UsageError>("loss.align: unknown encoder \"", name, "\"; known: ", join(feature_encoders()));
}

std::unique_ptr<FeatureEncoder> make_feature_encoder(const std::string& name, const std::string& weights,
                                                     at::Device device) {
  const int64_t width = feature_width(name);
  if (name == "fake") return std::make_unique<FakeEncoder>(device);
  if (weights.empty()) fail<UsageError>("loss.align_weights: encoder ", name, " needs its safetensors file");
  Dinov2 network =
      load_dinov2(weights::read_weights(weights::locate(weights)), {.device = device}, GridResampling::gat);
  if (network->config().name() != name || network->config().width != width)
    fail<UsageError>("loss.align is ", name, ", but ", weights, " holds ", network->config().name());
  return std::make_unique<Dinov2Encoder>(std::move(network));
}

}  // namespace gigacat::pretrained
