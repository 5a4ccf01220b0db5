// A trained upsampler as `gigacat upsample` runs it: one style for all tiles of an image.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace gigacat::models {

struct TileUpsamplerSizes {
  int64_t scale = 4;     // S: pixels out for a pixel in, along a side
  int64_t tile = 64;     // px that the network was trained at
  int64_t multiple = 8;  // what a side of a tile must be a multiple of
  int64_t z_dim = 128;
  int64_t width = 64;  // channels at full size, which most of a tile's memory goes to
  bool reads_text = false;
};

// Letters: B tiles, t side of a tile.
class TileUpsampler {
 public:
  virtual ~TileUpsampler() = default;
  virtual const TileUpsamplerSizes& sizes() const = 0;
  // Sets the latent z [1, Z] and the caption of all tiles that follow; a model without text takes an empty caption.
  // Errors: UsageError for a caption that such a model is given.
  virtual void set_style(const at::Tensor& z, const std::string& caption) = 0;
  // Tiles [B, 3, t, t] in [0, 1] and standard normal noise of that shape -> [B, 3, S t, S t], not clamped. Errors:
  // InternalError before set_style().
  virtual at::Tensor upsample(const at::Tensor& tiles, const at::Tensor& noise) = 0;

 protected:
  // For models without text. Errors: UsageError unless the caption is empty.
  static void refuse_caption(const std::string& caption);
};

}  // namespace gigacat::models
