#include "eval/side_features.h"

#include <algorithm>
#include <span>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"

namespace gigacat::eval {
namespace {

void warn_of_images(const ExtractedFeatures& extracted, const std::string& name, const dist::Group& group) {
  if (!group.is_first()) return;
  if (extracted.duplicates > 0)
    log::warn(name, ": ", extracted.duplicates, " of ", extracted.images, " images are equal to another one");
  if (extracted.least_height != extracted.most_height || extracted.least_width != extracted.most_width)
    log::warn(name, ": images differ in size, from ", extracted.least_width, "x", extracted.least_height, " to ",
              extracted.most_width, "x", extracted.most_height);
}

SideFeatures from_statistics(const StatisticsFile& file, const std::string& name, const FeatureRequests& requests) {
  SideFeatures side;
  for (const auto& [feature, request] : requests) side.gaussians[feature] = file.gaussians.at(key_of(feature));
  if (const auto count = file.description.find("images"); count != file.description.end())
    side.images = parse_int(count->second, name + ": images");
  if (const auto text = file.description.find("unreadable"); text != file.description.end())
    side.unreadable = text->second;
  return side;
}

// The cache's file for statistics of the real side; "" without a cache or where the data have no identity. On rank 0.
std::string cache_file(const Side& real, const std::set<std::string>& names, const ResolvedRequest& resolved,
                       FeatureNetworks& networks) {
  const std::string identity = resolved.request.cache.empty() ? "" : real.images->identity();
  if (identity.empty()) return "";
  std::string key = cat(identity, " ", real.images->version(), " ", resolved.real_count, " ", networks.protocol());
  for (const std::string& name : names) key += cat(" ", name, " ", networks.get(name).weights());
  const std::string digest = sha256(std::as_bytes(std::span<const char>(key))).substr(0, 32);
  return (fs::path(resolved.request.cache) / "statistics" / (digest + ".npz")).string();
}

SideFeatures cached_statistics(const Side& real, const ResolvedRequest& resolved, const FeatureRequests& requests,
                               FeatureNetworks& networks, dist::Group& group) {
  std::set<std::string> names;
  for (const auto& [feature, request] : requests) names.insert(feature.network);
  SideFeatures cached;
  std::string file;
  const std::string found = dist::on_first(group, "cached statistics", [&]() -> std::string {
    file = cache_file(real, names, resolved, networks);
    if (file.empty() || !fs::exists(file)) return "";
    try {
      cached = from_statistics(read_statistics(file), file, requests);
    } catch (const std::exception& error) {
      log::warn("the cached statistics are computed again: ", error.what());
      return "";
    }
    log::info("statistics of ", real.name, " from the cache: ", file);
    return "found";
  });
  if (!found.empty()) return cached;  // empty on other ranks: only rank 0 computes metrics
  const FeatureRequests all = statistics_requests(names, networks);
  SideFeatures side = extract_side(*real.images, "real", all, resolved.request, resolved.real_count, networks, group);
  const bool whole = std::all_of(side.collected.begin(), side.collected.end(),
                                 [](const auto& item) { return item.second.error.empty(); });
  if (!group.is_first() || file.empty() || !whole) return side;
  try {
    fs::create_directories(fs::path(file).parent_path());
    write_statistics(file, to_statistics(side, names, *real.images, networks));
  } catch (const std::exception& error) {
    log::warn("the statistics of ", real.name, " are not kept for the next time: ", error.what());
  }
  return side;
}

}  // namespace

SideFeatures extract_side(const ImageSet& images, const std::string& title, const FeatureRequests& requests,
                          const Request& request, int64_t count, FeatureNetworks& networks, dist::Group& group) {
  constexpr int64_t kBatchCpu = 16, kBatchGpu = 64;
  const int64_t usual = group.device().is_cpu() ? kBatchCpu : kBatchGpu;
  ExtractedFeatures extracted = extract_features(images, requests, networks,
                                                 {.title = title,
                                                  .count = count,
                                                  .batch = request.batch > 0 ? request.batch : usual,
                                                  .threads = std::max<int64_t>(1, request.threads),
                                                  .prompt_prefix = request.prompt_prefix,
                                                  .max_bad_fraction = request.max_bad_fraction},
                                                 group);
  warn_of_images(extracted, images.name(), group);
  SideFeatures side{.images = extracted.images, .unreadable = extracted.unreadable};
  for (const auto& [feature, wanted] : requests) {
    CollectedFeature& collected = extracted.features.at(feature);
    if (!wanted.moments || !collected.error.empty()) continue;
    try {
      side.gaussians[feature] = collected.moments.gaussian();
    } catch (const Error& error) {
      collected.error = error.what();
    }
  }
  side.collected = std::move(extracted.features);
  return side;
}

FeatureRequests statistics_requests(const std::set<std::string>& names, FeatureNetworks& networks) {
  FeatureRequests requests;
  for (const Metric& metric : metric_table())
    if (metric.moments && names.contains(metric.feature.network) &&
        networks.get(metric.feature.network).has(metric.feature.feature))
      requests[metric.feature].moments = true;
  return requests;
}

StatisticsFile to_statistics(const SideFeatures& side, const std::set<std::string>& names, const ImageSet& images,
                             FeatureNetworks& networks) {
  StatisticsFile file;
  for (const auto& [feature, gaussian] : side.gaussians) file.gaussians[key_of(feature)] = gaussian;
  file.description = {{"protocol", networks.protocol()}, {"images", cat(side.images)}, {"of", images.name()}};
  if (!side.unreadable.empty()) file.description["unreadable"] = side.unreadable;
  for (const std::string& name : names) file.description["weights of " + name] = networks.get(name).weights();
  return file;
}

SideFeatures features_of(const Side& side, Role role, const ResolvedRequest& resolved, FeatureNetworks& networks,
                         dist::Group& group) {
  const bool is_fake = role == Role::fake;
  const int64_t count = is_fake ? resolved.fake_count : resolved.real_count;
  const FeatureRequests requests = feature_requests(resolved, is_fake, networks.protocol());
  if (requests.empty()) return {};
  if (side.statistics) return from_statistics(*side.statistics, side.name, requests);
  try {
    const bool rows = std::any_of(requests.begin(), requests.end(), [](const auto& item) { return item.second.rows; });
    SideFeatures features = is_fake || rows ? extract_side(*side.images, is_fake ? "fake" : "real", requests,
                                                           resolved.request, count, networks, group)
                                            : cached_statistics(side, resolved, requests, networks, group);
    for (auto& [feature, collected] : features.collected)  // only rank 0 computes metrics
      if (collected.rows.defined())
        collected.rows = group.is_first() ? collected.rows.to(group.device()) : at::Tensor();
    return features;
  } catch (const std::exception& error) {
    return {.error = error.what()};
  }
}

}  // namespace gigacat::eval
