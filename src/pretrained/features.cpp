#include "gigacat/pretrained/features.h"

#include <ATen/Functions.h>

#include "gigacat/core/error.h"
#include "gigacat/core/random.h"

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

 private:
  static constexpr int64_t kPatch = 14, kWidth = 32;
  at::Tensor weight_;
};

}  // namespace

std::unique_ptr<FeatureEncoder> make_feature_encoder(const std::string& name, at::Device device) {
  if (name == "fake") return std::make_unique<FakeEncoder>(device);
  fail<UsageError>("loss.align: unknown encoder \"", name, "\"; known: fake");
}

}  // namespace gigacat::pretrained
