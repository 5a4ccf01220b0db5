#include "eval/resolved_request.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <set>
#include <utility>

#include "eval/pyramid.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"

namespace gigacat::eval {
namespace {

constexpr int64_t kPieceOfGuidedDiffusion = 5000, kPieces = 10;

int64_t count_of(const Side& side, int64_t wanted, const char* which) {
  if (!side.images) return 0;
  const int64_t size = side.images->size();
  if (wanted > size) fail<UsageError>("the ", which, " side ", side.name, " has ", size, " images, not ", wanted);
  return wanted > 0 ? wanted : size;
}

bool is_there(const Side& side) { return side.images || side.statistics; }

void check_there(const Metric& metric, const Side& side, const char* which) {
  if (!is_there(side)) fail<UsageError>(metric.name, " needs a ", which, " side: give --", which);
}

// Why the metric cannot be computed from the side, or "".
std::string fault_of_side(const Metric& metric, const Side& side, const char* which) {
  if (side.images) return "";
  if (!metric.moments) return cat("it needs the images of the ", which, " side; ", side.name, " holds statistics");
  if (side.statistics->gaussians.contains(key_of(metric.feature))) return "";
  return cat(side.name, " holds no statistics for ", metric.name, " (", key_of(metric.feature), ")");
}

// Why the metric cannot be computed from these sides, or "".
std::string fault_of_sides(const Metric& metric, const Side& real, const Side& fake) {
  if (metric.trajectory && !fake.trajectory)
    return "it is of a generator with stages (GAT, CAT): give a run, a checkpoint or a generator file as --fake (the "
           "log of a run has it as it is)";
  std::string fault = fault_of_side(metric, fake, "fake");
  if (fault.empty() && metric.needs_real()) fault = fault_of_side(metric, real, "real");
  if (!fault.empty() || !fake.images) return fault;
  if (fake.images->is_random()) return fault_of_samples(metric.name);
  if (!metric.texts) return "";
  try {
    caption_of(*fake.images, 0);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

bool is_of_pyramid(const Metric* metric) { return metric->feature.network == "pyramid"; }

// Errors: Error when the first images cannot be read, with the reason of the first.
io::Image first_readable(const ImageSet& set) {
  constexpr int64_t kTries = 100;
  std::string reason;
  for (int64_t i = 0; i < std::min(set.size(), kTries); ++i) {
    try {
      return set.read(i, i + 1).at(0);
    } catch (const InternalError&) {
      throw;
    } catch (const Error& error) {
      if (reason.empty()) reason = error.what();
    }
  }
  fail(reason);
}

// Largest 16 times a power of two that fits into the first image of both sides; fewer patches of more images.
void choose_pyramid(ResolvedRequest& resolved, const ImageSet& real, const ImageSet& fake) {
  constexpr int64_t kMostImages = 8192, kPatches = 65536, kMostPatches = 128, kLeastPatches = 8;
  int64_t smallest = INT64_MAX;
  try {
    for (const ImageSet* set : {&real, &fake}) {
      const io::Image first = first_readable(*set);
      smallest = std::min({smallest, first.height, first.width});
    }
  } catch (const Error& error) {
    return resolved.refuse(find_metric("swd"), {error.what()});
  }
  if (smallest < kCoarsest)
    return resolved.refuse(find_metric("swd"),
                           {cat("it needs images of ", kCoarsest, " pixels at least, not ", smallest)});
  resolved.pyramid_size = kCoarsest;
  while (resolved.pyramid_size * 2 <= smallest) resolved.pyramid_size *= 2;
  resolved.pyramid_images = std::min({resolved.real_count, resolved.fake_count, kMostImages});
  resolved.pyramid_patches = std::clamp(kPatches / resolved.pyramid_images, kLeastPatches, kMostPatches);
}

}  // namespace

void ResolvedRequest::refuse(const Metric& metric, Failure failure) {
  for (Metrics* list : {&features, &pairs, &trajectory}) std::erase(*list, &metric);
  failed[metric.name] = std::move(failure);
}

std::string fault_of_samples(const std::string& metric) {
  if (find_metric(metric).is_of_pairs()) return "it compares pairs of images; random samples have no partners";
  return find_metric(metric).texts ? "it compares images with their captions; random samples have none" : "";
}

std::string key_of(const FeatureName& name) { return name.network == "inception" ? name.feature : name.network; }

ResolvedRequest resolve(const Request& request, const Side& real, const Side& fake) {
  if (request.metrics.empty()) fail<UsageError>("no metric is named");
  ResolvedRequest resolved{.request = request,
                           .real_count = count_of(real, request.real_count, "real"),
                           .fake_count = count_of(fake, request.fake_count, "fake")};
  for (const std::string& name : request.metrics) {
    const Metric& metric = find_metric(name);
    check_there(metric, fake, "fake");
    if (metric.needs_real()) check_there(metric, real, "real");
    if (const std::string fault = fault_of_sides(metric, real, fake); !fault.empty()) {
      resolved.refuse(metric, {fault, /*is_of_request=*/true});
      continue;
    }
    Metrics& list = metric.trajectory ? resolved.trajectory : metric.is_of_pairs() ? resolved.pairs : resolved.features;
    if (std::find(list.begin(), list.end(), &metric) == list.end()) list.push_back(&metric);
  }
  constexpr int64_t kUsualSubset = 1000;  // torch-fidelity's
  resolved.kid_subset_wanted = request.kid_subset > 0 ? request.kid_subset : kUsualSubset;
  resolved.kid_subset = std::min({resolved.kid_subset_wanted, resolved.real_count, resolved.fake_count});
  if (std::any_of(resolved.features.begin(), resolved.features.end(), is_of_pyramid))
    choose_pyramid(resolved, *real.images, *fake.images);
  const int64_t threads = at::get_num_threads();
  if (resolved.request.threads == 0) resolved.request.threads = std::max<int64_t>(1, threads / 2);
  return resolved;
}

FeatureRequests feature_requests(const ResolvedRequest& resolved, bool fake, const std::string& protocol) {
  const int64_t count = fake ? resolved.fake_count : resolved.real_count;
  FeatureRequests requests;
  for (const Metric* metric : resolved.features) {
    if (!fake && !metric->needs_real()) continue;
    FeatureRequest& wanted = requests[metric->feature];
    wanted.moments = wanted.moments || metric->moments;
    wanted.rows = wanted.rows || metric->rows;
    wanted.texts = wanted.texts || metric->texts;
    if (is_of_pyramid(metric)) wanted.most_rows = resolved.pyramid_images;
    if (metric->inception && fake)
      wanted.pieces = protocol == "adm" ? pieces_of(count, kPieceOfGuidedDiffusion) : equal_pieces(count, kPieces);
  }
  return requests;
}

void announce_memory(const ResolvedRequest& resolved) {
  constexpr int64_t kWidth = 2048;                                      // of Inception's features, the widest
  constexpr int64_t kSums = kWidth * kWidth * int64_t{sizeof(double)};  // of products of features, for one side
  const int64_t real = resolved.real_count, fake = resolved.fake_count;
  std::vector<std::string> streamed, names;
  std::set<FeatureName> sums;
  bool distances = false;
  for (const Metric* metric : resolved.features) {
    if (is_of_pyramid(metric)) {
      const auto levels = std::ssize(pyramid_sides(resolved.pyramid_size));
      const int64_t width = levels * resolved.pyramid_patches * kPatchValues;
      log::info(metric->name, " keeps ", resolved.pyramid_patches, " patches of each of ", levels, " levels of ",
                resolved.pyramid_images,
                " images a side: ", human_bytes(kept_bytes(2 * resolved.pyramid_images, width)));
      continue;
    }
    (metric->rows ? names : streamed).push_back(metric->name);
    if (metric->moments) sums.insert(metric->feature);
    distances = distances || metric->name == "pr" || metric->name == "dc";
  }
  if (!streamed.empty())
    log::info(join(streamed), streamed.size() == 1 ? " keeps" : " keep", " sums of at most ",
              human_bytes(2 * std::ssize(sums) * kSums), " besides the networks, whatever the number of images");
  if (names.empty()) return;
  log::info(
      join(names), names.size() == 1 ? " keeps" : " keep", " the features of ", real + fake,
      " images: ", human_bytes(kept_bytes(real + fake, kWidth)),
      distances ? cat(", and ", human_bytes(distance_bytes(real, fake, kWidth)), " while distances are computed") : "");
}

}  // namespace gigacat::eval
