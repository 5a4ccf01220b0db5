// Frozen image features that the alignment loss pulls the discriminator toward.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

namespace gigacat::pretrained {

class FeatureEncoder {
 public:
  virtual ~FeatureEncoder() = default;
  // Images normalised by ImageNet's mean and deviation, [B, 3, S, S] with S = input_size() -> [B, 1 + N, F], class token first, N a
  // square row-major grid. No gradient.
  virtual at::Tensor encode(const at::Tensor& images) = 0;
  virtual int64_t input_size() const = 0;  // px
  virtual int64_t width() const = 0;       // F
};

// "fake": a fixed random projection of patches, for tests; other encoders need weights. Errors: UsageError with the known names.
std::unique_ptr<FeatureEncoder> make_feature_encoder(const std::string& name, at::Device device);

}  // namespace gigacat::pretrained
