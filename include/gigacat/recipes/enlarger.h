// A trained upsampler as `gigacat upsample` uses it: one style for all tiles of an image.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "gigacat/weights/weights.h"

namespace gigacat::recipes {

struct EnlargerSizes {
  int64_t scale = 4;  // S: pixels out for a pixel in, along a side
  int64_t tile = 64;  // px that the network was trained at
  int64_t cells = 8;  // what a side of a tile must be a multiple of
  int64_t z_dim = 128;
  int64_t width = 64;  // channels at full size, which most of a tile's memory goes to
  bool reads_text = false;
};

// Letters: B tiles, t side of a tile.
class Enlarger {
 public:
  virtual ~Enlarger() = default;
  virtual const EnlargerSizes& sizes() const = 0;
  // The latent z [1, Z] and the caption of all tiles to come; models without text take no caption. Errors: UsageError
  // for one that is given all the same.
  virtual void fix(const at::Tensor& z, const std::string& caption) = 0;
  // Tiles [B, 3, t, t] in [0, 1] and standard normal noise of that shape -> [B, 3, S t, S t], not clamped. Errors:
  // InternalError before fix().
  virtual at::Tensor enlarge(const at::Tensor& tiles, const at::Tensor& noise) = 0;
};

// AuraSR as released. Errors: as models::aura_sr::load_aura_sr.
std::unique_ptr<Enlarger> load_aura_sr_enlarger(const std::filesystem::path& path, const weights::LoadOptions& options);

}  // namespace gigacat::recipes
