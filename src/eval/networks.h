// Makers of single networks. Errors: as WeightFiles::find; Error when the weights do not fit.
#pragma once

#include <memory>
#include <string>

#include "gigacat/eval/network.h"

namespace gigacat::eval {

// CLIP's towers as "clip" or "clip-l14", which prepare images differently. `files` must outlive it.
std::unique_ptr<FeatureNetwork> make_clip_network(const WeightFiles& files, const std::string& name, at::Device device);
std::unique_ptr<PairNetwork> make_lpips_network(const WeightFiles& files, at::Device device);

}  // namespace gigacat::eval
