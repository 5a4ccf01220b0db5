#include "gigacat/models/aura_sr/tile_upsampler.h"

#include <utility>

namespace gigacat::models::aura_sr {
namespace {

class AuraSrTiles : public TileUpsampler {
 public:
  explicit AuraSrTiles(AuraSr network) : network_(std::move(network)), sizes_(tile_sizes(network_->config())) {}
  const TileUpsamplerSizes& sizes() const override { return sizes_; }
  void set_style(const at::Tensor& z, const std::string& caption) override {
    refuse_caption(caption);
    network_->fold(z);
  }
  at::Tensor upsample(const at::Tensor& tiles, const at::Tensor& noise) override {
    return network_->forward(tiles, noise);
  }

 private:
  AuraSr network_;
  TileUpsamplerSizes sizes_;
};

}  // namespace

TileUpsamplerSizes tile_sizes(const AuraSrConfig& config) {
  return {config.scale(), config.input_image_size, int64_t{1} << config.down_mults.size(), config.z_dim, config.dim};
}

std::unique_ptr<TileUpsampler> make_tile_upsampler(AuraSr network) {
  return std::make_unique<AuraSrTiles>(std::move(network));
}

std::unique_ptr<TileUpsampler> load_tile_upsampler(const std::filesystem::path& path,
                                                   const weights::LoadOptions& options) {
  return make_tile_upsampler(load_aura_sr(path, options));
}

}  // namespace gigacat::models::aura_sr
