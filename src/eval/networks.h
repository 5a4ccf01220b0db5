// Makers of single networks. Errors: as WeightFiles::find; Error when the weights do not fit.
#pragma once

#include <memory>
#include <string>

#include "gigacat/eval/network.h"

namespace gigacat::eval {

// CLIP's towers as "clip" or "clip-l14", which prepare images differently. `files` must outlive it.
std::unique_ptr<FeatureNetwork> make_clip_network(const WeightFiles& files, const std::string& name, at::Device device);
// The user's own network: features "pool" and, where it has classes, "logits". `size`: side of its images; 0: what the
// file states. Errors: UsageError for another kind of file or a size that is not known.
std::unique_ptr<FeatureNetwork> make_own_network(const std::filesystem::path& file, int64_t size, at::Device device);
std::unique_ptr<PairNetwork> make_lpips_network(const WeightFiles& files, at::Device device);

}  // namespace gigacat::eval
