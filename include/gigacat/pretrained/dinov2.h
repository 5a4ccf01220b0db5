// DINOv2: vision transformers S, B and L with patches of 14 px, with and without register tokens.
// Source: github.com/facebookresearch/dinov2 vision_transformer.py.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <vector>

#include "gigacat/pretrained/layers.h"
#include "gigacat/weights/weights.h"

namespace gigacat::pretrained {

struct Dinov2Config {
  int64_t width = 384, depth = 12, heads = 6;  // 384 12 6: S; 768 12 12: B; 1024 24 16: L
  int64_t hidden = 1536;                       // of the MLP
  int64_t patch = 14, grid = 37;               // px; side of the stored position grid
  int64_t registers = 0;

  // Read off names and shapes. Errors: Error when the tensors are of another network.
  static Dinov2Config deduce(const weights::Weights& weights);
  // "dinov2-s", "dinov2-b-reg", ...; "dinov2-WIDTH" for other widths.
  std::string name() const;
};

// How the position grid follows the image's size.
enum class GridResampling {
  official,  // bicubic; without registers by the scale (n + 0.1) / 37, with them by the size and with antialias
  gat        // bicubic by the size with antialias, as GAT's alignment loss does for all
};

// After the final norm; N patches row by row.
struct Dinov2Output {
  at::Tensor cls;        // [B, D]
  at::Tensor registers;  // [B, R, D]
  at::Tensor patches;    // [B, N, D]
};

namespace dinov2_blocks {
class Block;
}  // namespace dinov2_blocks

// Images are normalised by ImageNet's mean and deviation.
class Dinov2Impl : public torch::nn::Module {
 public:
  explicit Dinov2Impl(const Dinov2Config& config, GridResampling resampling = GridResampling::official);
  const Dinov2Config& config() const { return config_; }
  // Images [B, 3, H, W], H and W multiples of 14, -> tokens. No gradient. `observe` gets each block's output.
  Dinov2Output forward(const at::Tensor& images, const StageObserver& observe = {});
  // The position table of a grid of patches, class position first: [1, 1 + rows * columns, D].
  at::Tensor positions(int64_t rows, int64_t columns);

 private:
  Dinov2Config config_;
  GridResampling resampling_;
  at::Tensor cls_token_, pos_embed_, register_tokens_;  // [1, 1, D], [1, 1 + 37 * 37, D], [1, R, D]
  Conv2d proj_{nullptr};
  std::vector<std::shared_ptr<dinov2_blocks::Block>> blocks_;
  LayerNorm norm_{nullptr};
  at::Tensor resampled_;  // the last positions()
  int64_t resampled_rows_ = 0, resampled_columns_ = 0;
};
TORCH_MODULE(Dinov2);

// Official names, or timm's (reg_token, class position folded into cls_token). Errors: Error when they do not fit.
Dinov2 load_dinov2(const weights::Weights& weights, const weights::LoadOptions& options = {},
                   GridResampling resampling = GridResampling::official);

}  // namespace gigacat::pretrained
