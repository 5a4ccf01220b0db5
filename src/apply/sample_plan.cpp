#include "apply/sample_plan.h"

#include <algorithm>
#include <numeric>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"

namespace gigacat::apply {
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

std::vector<int64_t> parse_labels(const std::string& text, int64_t num_classes) {
  std::vector<int64_t> labels;
  if (text == "all") {
    labels.resize(static_cast<size_t>(num_classes));
    std::iota(labels.begin(), labels.end(), 0);
    return labels;
  }
  labels = parse_ranges(text, "--labels");
  if (labels.empty()) fail<UsageError>("--labels names no class: give all, or a list such as 0,1,4-6");
  const int64_t most = *std::max_element(labels.begin(), labels.end());
  if (most >= num_classes)
    fail<UsageError>("--labels: class ", most, " is not there: the model has ", num_classes, " classes, 0..",
                     num_classes - 1);
  return labels;
}

}  // namespace

std::vector<Item> plan_samples(const SampleRequest& request, int64_t num_classes) {
  check_numbers(request);
  std::vector<Item> items;
  if (request.seeds.empty()) {
    for (int64_t i = 0; i < request.count; ++i) items.push_back({request.seed, i, 0});
  } else {
    for (int64_t seed : parse_ranges(request.seeds, "--seeds")) items.push_back({seed, 0, 0});
    if (items.empty()) fail<UsageError>("--seeds names no seed: give a list such as 0,1,4-6");
  }
  const std::vector<int64_t> labels = parse_labels(request.labels, num_classes);
  for (size_t i = 0; i < items.size(); ++i) items[i].label = labels[i % labels.size()];
  return items;
}

Share share_of(int64_t count, int64_t rows, int rank, int world) {
  const int64_t pieces = (count + rows - 1) / rows;
  const auto edge = [&](int64_t r) { return std::min(count, pieces * r / world * rows); };
  return {edge(rank), edge(rank + 1)};
}

}  // namespace gigacat::apply
