// Which samples a request asks for, and which of them a rank draws.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gigacat/apply/sample.h"

namespace gigacat::apply {

// The latent of a sample is number `index` of `seed`.
struct Item {
  int64_t seed = 0, index = 0, label = 0;
};

// One item per sample, in the order of the output. Errors: UsageError for labels outside 0..num_classes-1, malformed
// lists, no samples at all, a truncation, guidance or batch out of range.
std::vector<Item> plan_samples(const SampleRequest& request, int64_t num_classes);

// The places [first, last) of `count` that a rank draws: whole pieces of `rows`, so that what stands together in a call
// of the networks does not depend on the number of ranks.
struct Share {
  int64_t first = 0, last = 0;
};
Share share_of(int64_t count, int64_t rows, int rank, int world);

}  // namespace gigacat::apply
