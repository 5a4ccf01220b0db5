// A generator as one side of a comparison.
#pragma once

#include <memory>
#include <vector>

#include "gigacat/eval/evaluate.h"
#include "gigacat/sample/sample.h"
#include "gigacat/sample/sampler.h"

namespace gigacat::sample {

// The samples of `specs`, drawn when they are asked for. `sampler` is kept; `origin` names it in results.
eval::Side generated_side(std::shared_ptr<const Sampler> sampler, std::vector<SampleSpec> specs,
                          const std::string& origin, std::map<std::string, std::string> description = {});

// The images that write_samples() would write for `request` (`out` is not used), drawn on the group's device; no file
// is made. Errors: as write_samples().
eval::Side generated_side(const SampleRequest& request, dist::Group& group);

}  // namespace gigacat::sample
