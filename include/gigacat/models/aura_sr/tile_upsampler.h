// AuraSR as a tile upsampler.
#pragma once

#include <filesystem>
#include <memory>

#include "gigacat/models/aura_sr/network.h"
#include "gigacat/models/tile_upsampler.h"
#include "gigacat/weights/weights.h"

namespace gigacat::models::aura_sr {

TileUpsamplerSizes tile_sizes(const AuraSrConfig& config);
// Runs `network` as it is.
std::unique_ptr<TileUpsampler> make_tile_upsampler(AuraSr network);
// From released files. Errors: as load_aura_sr.
std::unique_ptr<TileUpsampler> load_tile_upsampler(const std::filesystem::path& path,
                                                   const weights::LoadOptions& options);

}  // namespace gigacat::models::aura_sr
