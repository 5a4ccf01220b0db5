// Frozen image features that the alignment loss pulls the discriminator toward.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace gigacat::pretrained {

class FeatureEncoder {
 public:
  virtual ~FeatureEncoder() = default;
  // Images normalised by ImageNet's mean and deviation, [B, 3, S, S] with S = input_size() -> [B, 1 + N, F], class
  // token first, N a square row-major grid. No gradient.
  virtual at::Tensor encode(const at::Tensor& images) = 0;
  virtual int64_t input_size() const = 0;  // px
  virtual int64_t width() const = 0;       // F
};

// Encoders by name: "fake", a fixed random projection of patches for tests, and "dinov2-s|b|l" with or without "-reg".
std::vector<std::string> feature_encoders();
// Width F of an encoder's features. Errors: UsageError with the known names.
int64_t feature_width(const std::string& name);
// `weights`: file or known name of an encoder's weights, where it needs them. The position grid is resampled as GAT
// does it. Errors: UsageError with the known names or without weights; Error when the file holds another network.
std::unique_ptr<FeatureEncoder> make_feature_encoder(const std::string& name, const std::string& weights,
                                                     at::Device device);

}  // namespace gigacat::pretrained
