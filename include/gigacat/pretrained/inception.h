// The Inception-v3 of the Frechet inception distance: TensorFlow's 2015-12-05 graph. Its average pools leave the
// padding out of the count and its last block pools by the maximum. Source: github.com/mseitzer/pytorch-fid
// inception.py.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <array>
#include <string>

#include "gigacat/pretrained/layers.h"
#include "gigacat/weights/weights.h"

namespace gigacat::pretrained {

struct InceptionOutput {
  at::Tensor pool;             // [B, 2048], pool3: the features of FID, KID, precision and recall
  at::Tensor spatial;          // [B, 2023], first 7 channels of mixed_6/conv as 17 x 17 x 7: sFID
  at::Tensor logits_unbiased;  // [B, 1008], without the classifier's bias: inception score
};

namespace inception_blocks {
class BlockA;
class BlockB;
class BlockC;
class BlockD;
class BlockE;
}  // namespace inception_blocks

// Batch norm is folded into the convolutions, so that its tensors are those of fold_batch_norm().
class InceptionImpl : public torch::nn::Module {
 public:
  static constexpr int64_t kSize = 299, kFeatures = 2048, kSpatial = 2023, kClasses = 1008;

  InceptionImpl();
  // Images [B, 3, 299, 299] in about [-1, 1] as the metric's protocol prepares them -> features, float32. No gradient.
  // `observe` gets the 16 stages before the pools.
  InceptionOutput forward(const at::Tensor& images, const StageObserver& observe = {});
  // The classifier's bias [1008]: logits are logits_unbiased + bias.
  const at::Tensor& class_bias() const { return fc_->bias; }

 private:
  std::array<Conv2d, 5> stem_{nullptr, nullptr, nullptr, nullptr, nullptr};
  std::array<std::shared_ptr<inception_blocks::BlockA>, 3> a_;  // 5b 5c 5d
  std::shared_ptr<inception_blocks::BlockB> b_;                 // 6a
  std::array<std::shared_ptr<inception_blocks::BlockC>, 4> c_;  // 6b 6c 6d 6e
  std::shared_ptr<inception_blocks::BlockD> d_;                 // 7a
  std::array<std::shared_ptr<inception_blocks::BlockE>, 2> e_;  // 7b 7c
  Linear fc_{nullptr};
};
TORCH_MODULE(Inception);

// NAME.conv.weight and NAME.bn.* (epsilon 1e-3) of pytorch-fid's names become NAME.weight and NAME.bias; the training
// head (AuxLogits) and batch counters are left out. Errors: Error when a convolution has no batch norm.
weights::Weights fold_batch_norm(const weights::Weights& weights);

// From a file with pytorch-fid's names. Errors: Error when the tensors do not fit.
Inception load_inception(const weights::Weights& weights, const weights::LoadOptions& options = {});

}  // namespace gigacat::pretrained
