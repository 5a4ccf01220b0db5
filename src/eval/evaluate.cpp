// Request -> features of each side, or its stored statistics -> metrics.
#include "gigacat/eval/evaluate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "eval/feature_extraction.h"
#include "eval/metric_table.h"
#include "eval/pairs.h"
#include "eval/resolved_request.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"

namespace gigacat::eval {
namespace {

constexpr std::chrono::hours kLongestComputation{24};

void warn_of_images(const ExtractedFeatures& extracted, const std::string& name, const dist::Group& group) {
  if (!group.is_first()) return;
  if (extracted.duplicates > 0)
    log::warn(name, ": ", extracted.duplicates, " of ", extracted.images, " images are equal to another one");
  if (extracted.least_height != extracted.most_height || extracted.least_width != extracted.most_width)
    log::warn(name, ": images differ in size, from ", extracted.least_width, "x", extracted.least_height, " to ",
              extracted.most_width, "x", extracted.most_height);
}

ExtractionOptions extraction_options(const Request& request, const std::string& title, int64_t count,
                                     dist::Group& group) {
  constexpr int64_t kBatchCpu = 16, kBatchGpu = 64;
  const int64_t usual = group.device().is_cpu() ? kBatchCpu : kBatchGpu;
  return {.title = title,
          .count = count,
          .batch = request.batch > 0 ? request.batch : usual,
          .threads = std::max<int64_t>(1, request.threads),
          .prompt_prefix = request.prompt_prefix};
}

SideFeatures from_extraction(ExtractedFeatures extracted, const FeatureRequests& requests) {
  SideFeatures side{.images = extracted.images};
  for (const auto& [name, wanted] : requests)
    if (wanted.moments) side.gaussians[name] = extracted.features.at(name).moments.gaussian();
  side.collected = std::move(extracted.features);
  return side;
}

void check_origin(const StatisticsFile& file, const std::string& name, const std::string& key,
                  const std::string& wanted) {
  const auto found = file.description.find(key);
  if (found != file.description.end() && found->second != wanted)
    fail<UsageError>(name, " was made with ", key, " ", found->second, ", not ", wanted,
                     ": numbers of the two do not compare");
}

// `networks_in_use`: the other side runs through `networks`, which must be those that made the file.
SideFeatures from_statistics(const StatisticsFile& file, const std::string& name, const FeatureRequests& requests,
                             FeatureNetworks& networks, bool networks_in_use) {
  check_origin(file, name, "protocol", networks.protocol());
  SideFeatures side;
  for (const auto& [feature, wanted] : requests) {
    side.gaussians[feature] = file.gaussians.at(key_of(feature));
    const std::string key = "weights of " + feature.network;
    if (networks_in_use && file.description.contains(key))
      check_origin(file, name, key, networks.get(feature.network).weights());
  }
  const auto count = file.description.find("images");
  if (count != file.description.end()) side.images = parse_int(count->second, name + ": images");
  return side;
}

// Every feature of the networks in `names` that statistics files hold.
FeatureRequests statistics_requests(const std::set<std::string>& names) {
  FeatureRequests requests;
  for (const Metric& metric : metric_table())
    if (metric.moments && names.contains(metric.feature.network)) requests[metric.feature].moments = true;
  return requests;
}

StatisticsFile file_of(const SideFeatures& side, const std::set<std::string>& names, const ImageSet& images,
                       FeatureNetworks& networks) {
  StatisticsFile file;
  for (const auto& [name, gaussian] : side.gaussians) file.gaussians[key_of(name)] = gaussian;
  file.description = {{"protocol", networks.protocol()}, {"images", cat(side.images)}, {"of", images.name()}};
  for (const std::string& network : names) file.description["weights of " + network] = networks.get(network).weights();
  return file;
}

// Statistics of a real side, from the cache where it has them.
SideFeatures cached_statistics(const ResolvedRequest& resolved, const Side& real, const FeatureRequests& requests,
                               FeatureNetworks& networks, dist::Group& group) {
  std::set<std::string> names;
  for (const auto& [name, wanted] : requests) names.insert(name.network);
  const std::string file = dist::on_first(group, "cached statistics", [&] {
    const std::string identity = resolved.request.cache.empty() ? "" : real.images->identity();
    if (identity.empty()) return std::string();
    std::string key = cat(identity, " ", resolved.real_count, " ", networks.protocol());
    for (const std::string& network : names) key += cat(" ", network, " ", networks.get(network).weights());
    const std::string digest = sha256(std::as_bytes(std::span<const char>(key))).substr(0, 32);
    return (fs::path(resolved.request.cache) / "statistics" / (digest + ".npz")).string();
  });
  const std::string found = dist::on_first(group, "cached statistics",
                                           [&] { return std::string(!file.empty() && fs::exists(file) ? "yes" : ""); });
  if (!found.empty()) {
    log::info("statistics of ", real.name, " from the cache: ", file);
    if (!group.is_first()) return {};  // only rank 0 has the file, and only it computes metrics
    return from_statistics(read_statistics(file), file, requests, networks, /*networks_in_use=*/true);
  }
  const FeatureRequests all = statistics_requests(names);
  ExtractedFeatures extracted = extract_features(
      *real.images, all, networks, extraction_options(resolved.request, "real", resolved.real_count, group), group);
  warn_of_images(extracted, real.name, group);
  SideFeatures side = from_extraction(std::move(extracted), all);
  if (!file.empty())
    dist::on_first(group, "cached statistics", [&] {
      fs::create_directories(fs::path(file).parent_path());
      write_statistics(file, file_of(side, names, *real.images, networks));
      return std::string();
    });
  return side;
}

SideFeatures measure_real(const ResolvedRequest& resolved, const Side& real, const Side& fake,
                          FeatureNetworks& networks, dist::Group& group) {
  const FeatureRequests requests =
      feature_requests(resolved.features, /*fake=*/false, resolved.real_count, networks.protocol());
  if (requests.empty()) return {};
  if (real.statistics)
    return from_statistics(*real.statistics, real.name, requests, networks, /*networks_in_use=*/fake.images != nullptr);
  const bool rows =
      std::any_of(requests.begin(), requests.end(), [](const auto& request) { return request.second.rows; });
  if (!rows) return cached_statistics(resolved, real, requests, networks, group);
  ExtractedFeatures extracted =
      extract_features(*real.images, requests, networks,
                       extraction_options(resolved.request, "real", resolved.real_count, group), group);
  warn_of_images(extracted, real.name, group);
  return from_extraction(std::move(extracted), requests);
}

SideFeatures measure_fake(const ResolvedRequest& resolved, const Side& real, const Side& fake,
                          FeatureNetworks& networks, dist::Group& group) {
  const FeatureRequests requests =
      feature_requests(resolved.features, /*fake=*/true, resolved.fake_count, networks.protocol());
  if (requests.empty()) return {};
  if (fake.statistics)
    return from_statistics(*fake.statistics, fake.name, requests, networks, /*networks_in_use=*/real.images != nullptr);
  ExtractedFeatures extracted =
      extract_features(*fake.images, requests, networks,
                       extraction_options(resolved.request, "fake", resolved.fake_count, group), group);
  warn_of_images(extracted, fake.name, group);
  return from_extraction(std::move(extracted), requests);
}

// Computed on rank 0 for all; large kernel matrices take minutes.
Values compute(const Metric& metric, const SideFeatures& real, const SideFeatures& fake, dist::Group& group) {
  const std::string text = dist::on_first(
      group, metric.name.c_str(),
      [&] {
        nlohmann::json json;
        for (const auto& [name, value] : metric.compute(real, fake, metric.feature)) json.push_back({name, value});
        return json.dump();
      },
      kLongestComputation);
  Values values;
  for (const auto& item : nlohmann::json::parse(text)) values.emplace_back(item[0], item[1].get<double>());
  return values;
}

// "fid50k_full": N in thousands, the whole real side.
std::string stylegan_name(const Metric& metric, const Side& real, const ResolvedRequest& resolved,
                          const std::string& protocol) {
  constexpr int64_t kThousand = 1000;
  if (metric.stylegan.empty() || protocol != "adm" || resolved.fake_count < kThousand ||
      resolved.fake_count % kThousand != 0)
    return "";
  std::string name = cat(metric.stylegan, resolved.fake_count / kThousand, "k");
  if (metric.name == "pr") name += "3";
  if (!metric.needs_real()) return name;
  const bool whole = real.statistics || (real.images && resolved.real_count == real.images->size());
  return whole ? name + "_full" : name;
}

void warn_of_few(const Metric& metric, int64_t images) {
  if (metric.usual == 0 || images == 0 || images >= metric.usual) return;
  log::warn(metric.name, " of ", images, " images does not compare with that of ", metric.usual, ", which papers give",
            metric.moments ? " (fewer images make it larger)" : "");
}

Values named(const Metric& metric, Values values) {
  for (auto& [name, value] : values) {
    if (metric.name == "pr" || metric.name == "dc") continue;
    name = name.empty() ? metric.name : cat(metric.name, "_", name);
  }
  return values;
}

Result base_result(const Metric& metric, const ResolvedRequest& resolved, const Side& real, const Side& fake) {
  Result result{.metric = metric.name,
                .fake_images = resolved.fake_count,
                .real = metric.needs_real() ? real.name : "",
                .fake = fake.name};
  if (metric.needs_real()) result.real_images = resolved.real_count;
  if (fake.images) result.description = fake.images->description();
  return result;
}

// First digits of the hash of a network's weights. Between two statistics files: the hash they state, or "".
std::string weights_of(const std::string& network, const Side& real, const Side& fake, FeatureNetworks& networks) {
  if (!real.statistics || !fake.statistics) return networks.get(network).weights();
  const std::string key = "weights of " + network;
  const auto known = real.statistics->description.find(key);
  if (known == real.statistics->description.end()) return "";
  check_origin(*fake.statistics, fake.name, key, known->second);
  return known->second;
}

std::vector<Result> feature_results(const ResolvedRequest& resolved, const Side& real, const Side& fake,
                                    FeatureNetworks& networks, dist::Group& group) {
  if (resolved.features.empty()) return {};
  if (group.is_first()) announce_memory(resolved.features, resolved.real_count, resolved.fake_count);
  SideFeatures of_real = measure_real(resolved, real, fake, networks, group),
               of_fake = measure_fake(resolved, real, fake, networks, group);
  if (group.is_first())
    for (SideFeatures* side : {&of_real, &of_fake})
      for (auto& [name, collected] : side->collected)
        if (collected.rows.defined()) collected.rows = collected.rows.to(group.device());
  std::vector<Result> results;
  for (const Metric* metric : resolved.features) {
    Result result = base_result(*metric, resolved, real, fake);
    result.protocol = networks.protocol();
    result.values = named(*metric, compute(*metric, of_real, of_fake, group));
    if (metric->needs_real() && result.real_images == 0) result.real_images = of_real.images;
    if (result.fake_images == 0) result.fake_images = of_fake.images;
    result.weights[metric->feature.network] = weights_of(metric->feature.network, real, fake, networks);
    result.stylegan = stylegan_name(*metric, real, resolved, networks.protocol());
    if (!resolved.request.quiet && group.is_first()) warn_of_few(*metric, result.fake_images);
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<Result> pair_results(const ResolvedRequest& resolved, const Side& real, const Side& fake,
                                 FeatureNetworks& networks, dist::Group& group) {
  if (resolved.pairs.empty()) return {};
  const PairScores scores = compare_pairs(resolved.pairs, *real.images, *fake.images, resolved.fake_count,
                                          resolved.request.threads, networks, group);
  std::vector<Result> results;
  for (size_t i = 0; i < resolved.pairs.size(); ++i) {
    results.push_back(base_result(*resolved.pairs[i], resolved, real, fake));
    results.back().values = named(*resolved.pairs[i], scores.values[i]);
    results.back().real_images = scores.pairs;
    if (resolved.pairs[i]->name == "lpips") results.back().weights["lpips"] = networks.lpips().weights();
  }
  return results;
}

std::vector<Result> trajectory_results(const ResolvedRequest& resolved, const Side& real, const Side& fake,
                                       dist::Group& group) {
  std::vector<Result> results;
  for (const Metric* metric : resolved.trajectory) {
    results.push_back(base_result(*metric, resolved, real, fake));
    results.back().values = fake.trajectory(resolved.fake_count, group);
  }
  return results;
}

}  // namespace

Side open_side(const std::string& path, bool captions) {
  Side side;
  side.name = path;
  if (path.ends_with(".npz") && fs::is_regular_file(path) && holds_statistics(path))
    side.statistics = read_statistics(path);
  else
    side.images = open_images(path, captions);
  return side;
}

std::vector<Result> evaluate(const Request& request, const Side& real, const Side& fake, FeatureNetworks& networks,
                             dist::Group& group) {
  const auto began = std::chrono::steady_clock::now();
  const ResolvedRequest resolved = resolve(request, real, fake);
  std::vector<Result> results = feature_results(resolved, real, fake, networks, group);
  for (Result& result : pair_results(resolved, real, fake, networks, group)) results.push_back(std::move(result));
  for (Result& result : trajectory_results(resolved, real, fake, group)) results.push_back(std::move(result));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  for (Result& result : results) result.seconds = seconds;
  return results;
}

StatisticsFile measure(const ImageSet& images, const Request& request, FeatureNetworks& networks, dist::Group& group) {
  const std::set<std::string> names = {"inception"};
  const FeatureRequests requests = statistics_requests(names);
  const int64_t count = request.real_count > 0 ? std::min(request.real_count, images.size()) : images.size();
  ExtractedFeatures extracted =
      extract_features(images, requests, networks, extraction_options(request, "statistics", count, group), group);
  warn_of_images(extracted, images.name(), group);
  StatisticsFile file = file_of(from_extraction(std::move(extracted), requests), names, images, networks);
  file.description["identity"] = images.identity();
  return file;
}

}  // namespace gigacat::eval
