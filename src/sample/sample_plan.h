// Which samples a request asks for, and which of them a rank draws.
#pragma once

#include <cstdint>
#include <vector>

#include "gigacat/sample/sample.h"
#include "gigacat/sample/sampler.h"

namespace gigacat::sample {

// One spec per sample, in the order of the output. Errors: as parse_classes(), UsageError for malformed lists, no
// samples at all, a truncation, guidance or batch out of range.
std::vector<SampleSpec> plan_samples(const SampleRequest& request, const Conditions& of);

// The places [first, last) of `count` that a rank draws: whole calls of `rows`, so that what is in one call of the
// networks does not depend on the number of ranks.
struct Share {
  int64_t first = 0, last = 0;
};
Share share_of(int64_t count, int64_t rows, int rank, int world);

// The weights that `request` names, the same on all ranks, and a sampler of them with its upsampler. A collective.
struct OpenedSampler {
  run::WeightSource source;
  std::shared_ptr<Sampler> sampler;
};
OpenedSampler open_sampler(const SampleRequest& request, dist::Group& group);

}  // namespace gigacat::sample
