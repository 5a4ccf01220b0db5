// Sets of images for judging upsamplers: real ones, and the same made small and large again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/eval/images.h"
#include "gigacat/weights/weights.h"

namespace gigacat::upsample {

// The middle of each image whose sides are multiples of `factor`. Errors: Error, when it is read, for an image with a
// side under `factor`.
std::shared_ptr<const eval::ImageSet> cut_images(std::shared_ptr<const eval::ImageSet> images, int64_t factor);

// Images of cut_images(), made small by PIL's bicubic and large again by `how`: "bicubic" or "lanczos" (PIL's), or an
// upsampler as upsample::Upsampler takes it. The names of images stay. Errors: as Upsampler.
std::shared_ptr<const eval::ImageSet> degraded_pairs(std::shared_ptr<const eval::ImageSet> images, int64_t factor,
                                                     const std::string& how, const weights::LoadOptions& where = {});

// The simple ways, which stand beside an upsampler.
const std::vector<std::string>& interpolations();

}  // namespace gigacat::upsample
