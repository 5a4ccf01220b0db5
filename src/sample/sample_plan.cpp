#include "sample/sample_plan.h"

#include <algorithm>
#include <numeric>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"

namespace gigacat::sample {
namespace {

constexpr int64_t kMostSamples = 10'000'000;

void check_numbers(const SampleRequest& request) {
  if (request.batch < 1) fail<UsageError>("--batch must be at least 1, not ", request.batch);
  if (request.seed < 0) fail<UsageError>("--seed must not be negative: ", request.seed);
  if (request.seeds.empty() && (request.count < 1 || request.count > kMostSamples))
    fail<UsageError>("--count must be in 1..", kMostSamples, ", not ", request.count);
  if (!(request.truncation >= 0 && request.truncation <= 2))
    fail<UsageError>("--truncation must be in 0..2 (1 is off), not ", request.truncation);
  if (!(request.guidance >= 0 && request.guidance <= 100))
    fail<UsageError>("--guidance must be in 0..100 (1 is off), not ", request.guidance);
}

// All of them, or those that the request lists.
std::vector<int64_t> labels_of(const SampleRequest& request, const Conditions& of) {
  if (request.labels != "all") return parse_classes(request.labels, "--labels", of);
  std::vector<int64_t> all(static_cast<size_t>(of.count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

std::vector<SampleSpec> plan_samples(const SampleRequest& request, const Conditions& of) {
  check_numbers(request);
  const std::vector<int64_t> labels = labels_of(request, of);
  const auto label_of = [&labels](int64_t i) { return labels[static_cast<size_t>(i % std::ssize(labels))]; };
  std::vector<SampleSpec> specs;
  if (request.seeds.empty()) {
    for (int64_t i = 0; i < request.count; ++i) specs.push_back({request.seed, i, label_of(i)});
  } else {
    for (const int64_t seed : parse_ranges(request.seeds, "--seeds")) specs.push_back({seed, 0, label_of(seed)});
    if (specs.empty()) fail<UsageError>("--seeds names no seed: give a list such as 0,1,4-6");
  }
  return specs;
}

Share share_of(int64_t count, int64_t rows, int rank, int world) {
  const int64_t pieces = (count + rows - 1) / rows;
  const auto edge = [&](int64_t r) { return std::min(count, pieces * r / world * rows); };
  return {edge(rank), edge(rank + 1)};
}

OpenedSampler open_sampler(const SampleRequest& request, dist::Group& group) {
  check_numbers(request);
  const run::WeightSource source = run::parse_source(
      dist::on_first(group, "weights", [&] { return run::to_text(run::find_weights(request.from, request.weights)); }));
  auto sampler = std::make_shared<Sampler>(Sampler::open(source, request.overrides, group.device(),
                                                         {.truncation = request.truncation,
                                                          .guidance = request.guidance,
                                                          .all_stages = request.all_stages,
                                                          .prompts = request.prompts,
                                                          .batch = request.batch}));
  if (!request.upsampler.empty())
    sampler->set_upsampler(std::make_shared<upsample::Upsampler>(
        request.upsampler,
        upsample::UpsampleOptions{.scale = request.scale, .seed = static_cast<uint64_t>(request.seed)},
        weights::LoadOptions{.device = group.device()}));
  return {source, std::move(sampler)};
}

}  // namespace gigacat::sample
