// A generator as one side of a comparison.
#pragma once

#include <memory>

#include "gigacat/apply/sample.h"
#include "gigacat/eval/evaluate.h"

namespace gigacat::apply {

// The images that sample() would write for `request` (`out` is not used), drawn when they are asked for on the group's
// device; no file is made. Errors: as sample().
eval::Side generated_side(const SampleRequest& request, dist::Group& group);

// Whether sample() would take `path`: a run folder, a checkpoint folder or a generator .safetensors.
bool holds_generator(const std::filesystem::path& path);

}  // namespace gigacat::apply
