// Request -> features of each side -> metrics; then metrics of pairs and of the generator itself.
#include "gigacat/eval/evaluate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <utility>

#include "eval/metric_table.h"
#include "eval/pairs.h"
#include "eval/pyramid.h"
#include "eval/resolved_request.h"
#include "eval/side_features.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"

namespace gigacat::eval {
namespace {

// What a statistics file says of itself, or "unknown".
std::string stated(const Side& side, const std::string& key) {
  const auto found = side.statistics->description.find(key);
  return found == side.statistics->description.end() ? "unknown" : found->second;
}

std::string protocol_of(const Side& side, const FeatureNetworks& networks) {
  return side.statistics ? stated(side, "protocol") : networks.protocol();
}

// First digits of the hash of the network's weights, or "unknown".
std::string weights_of(const Side& side, const std::string& network, FeatureNetworks& networks) {
  return side.statistics ? stated(side, "weights of " + network) : networks.get(network).weights();
}

// One name for what both sides have in common; the side that does not state it is named.
std::string common(const std::string& real, const std::string& fake) {
  return real == fake ? fake : cat("real ", real, ", fake ", fake);
}

std::string mismatch(const std::string& what, const std::string& real, const std::string& fake, const Side& of_real) {
  if (real == fake || real == "unknown" || fake == "unknown") return "";
  return cat("the real side", of_real.statistics ? " " + of_real.name : "", " was made with ", what, " ", real,
             ", not ", fake, " as the fake side: their numbers do not compare");
}

// Says that the sides were made with different protocols or weights; "" otherwise.
std::string fault_of_origins(const Metric& metric, const Side& real, const Side& fake, FeatureNetworks& networks) {
  if ((!real.statistics && !fake.statistics) || !metric.needs_real()) return "";
  const std::string& network = metric.feature.network;
  const std::string fault = mismatch("protocol", protocol_of(real, networks), protocol_of(fake, networks), real);
  return fault.empty() ? mismatch("weights of " + network, weights_of(real, network, networks),
                                  weights_of(fake, network, networks), real)
                       : fault;
}

// Loads a metric's network. Returns why the network does not suit the metric, or "".
std::string load(const Metric& metric, FeatureNetworks& networks) {
  if (metric.name == "lpips") networks.lpips();
  if (metric.feature.network.empty() || metric.feature.network == "pyramid") return "";
  FeatureNetwork& network = networks.get(metric.feature.network);
  if (!network.has(metric.feature.feature))
    return cat("it needs ", metric.feature.feature, " features, which ", networks.label(metric.feature.network),
               " does not give");
  if (metric.texts) network.read({"a photo"});  // the vocabulary too
  return "";
}

// Loads what the metrics need and takes out those that the networks or the origins of the sides do not suit.
void load_for(ResolvedRequest& resolved, const Side& real, const Side& fake, FeatureNetworks& networks) {
  Metrics all = resolved.features;
  all.insert(all.end(), resolved.pairs.begin(), resolved.pairs.end());
  for (const Metric* metric : all) {
    std::string fault = real.images || fake.images ? load(*metric, networks) : "";
    if (fault.empty() && !metric->is_of_pairs()) fault = fault_of_origins(*metric, real, fake, networks);
    if (!fault.empty()) resolved.refuse(*metric, {fault, /*is_of_request=*/true});
  }
}

// Says before the work what will be missing after it.
void warn_of_refused(const ResolvedRequest& resolved) {
  if (resolved.features.empty() && resolved.pairs.empty() && resolved.trajectory.empty()) return;
  for (const auto& [name, failure] : resolved.failed) log::warn(name, " will be left out: ", failure.why);
}

// Values of a metric, computed on rank 0 for all; large kernel matrices take minutes.
Values compute(const Metric& metric, const SideFeatures& real, const SideFeatures& fake,
               const ResolvedRequest& resolved, dist::Group& group) {
  const std::string text = dist::on_first(group, metric.name.c_str(), [&] {
    if (metric.needs_real()) real.check(metric.feature);
    fake.check(metric.feature);
    std::string lines;
    for (const auto& [name, value] : metric.compute(real, fake, metric.feature, resolved)) {
      char digits[40];
      std::snprintf(digits, sizeof digits, "%.17g", value);
      lines += cat(name, " ", digits, "\n");
    }
    return lines;
  });
  Values values;
  for (const std::string& line : split(text, '\n'))
    if (const size_t space = line.find(' '); space != std::string::npos)
      values.emplace_back(line.substr(0, space), std::strtod(line.c_str() + space + 1, nullptr));
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

// How many images the features are of, and how many are missing.
void describe_side(const SideFeatures& side, const char* key, int64_t& images,
                   std::map<std::string, std::string>& notes) {
  if (side.images > 0) images = side.images;
  if (!side.unreadable.empty()) notes[key] = side.unreadable;
}

void add_kid_notes(Result& result, const ResolvedRequest& resolved, bool is_first) {
  const int64_t size = std::min({resolved.kid_subset, result.real_images, result.fake_images});
  result.notes["subset"] = cat(KidOptions().subsets, " subsets of ", size, " images");
  if (size < resolved.kid_subset_wanted && !resolved.request.quiet && is_first)
    log::warn("kid: subsets of ", size, " images, not ", resolved.kid_subset_wanted,
              ": a side has no more (--kid-subset chooses); its spread is larger");
  if (!result.values.empty() && result.values.front().second < 0)
    result.notes["kid"] = "below 0: the estimate is unbiased, and the sides differ by less than its error";
}

void describe_pyramid(Result& result, const ResolvedRequest& resolved) {
  result.protocol = cat("pyramid-", resolved.pyramid_size);
  result.real_images = result.fake_images = resolved.pyramid_images;
  result.notes["swd"] = cat("of patches, without a network: compares only with swd of ", resolved.pyramid_size, " px");
}

std::vector<Result> feature_results(const ResolvedRequest& resolved, const Side& real, const Side& fake,
                                    FeatureNetworks& networks, dist::Group& group) {
  if (resolved.features.empty()) return {};
  if (group.is_first()) announce_memory(resolved);
  if (resolved.pyramid_size > 0)
    networks.put("pyramid", make_pyramid_network(resolved.pyramid_size, resolved.pyramid_patches));
  const SideFeatures of_real = features_of(real, Role::real, resolved, networks, group),
                     of_fake = features_of(fake, Role::fake, resolved, networks, group);
  std::vector<Result> results;
  for (const Metric* metric : resolved.features) {
    Result result = base_result(*metric, resolved, real, fake);
    const std::string& network = metric->feature.network;
    result.protocol = protocol_of(fake, networks);
    std::string weights = weights_of(fake, network, networks);
    if (metric->needs_real()) {
      result.protocol = common(protocol_of(real, networks), result.protocol);
      weights = common(weights_of(real, network, networks), weights);
    }
    if (!weights.empty() && weights != "unknown") result.weights[networks.label(network)] = weights;
    try {
      result.values = named(*metric, compute(*metric, of_real, of_fake, resolved, group));
    } catch (const std::exception& error) {
      result.error = error.what();
    }
    if (metric->needs_real()) describe_side(of_real, "unreadable_real", result.real_images, result.notes);
    describe_side(of_fake, "unreadable_fake", result.fake_images, result.notes);
    const bool is_whole = !result.notes.contains("unreadable_real") && !result.notes.contains("unreadable_fake");
    if (is_whole) result.stylegan = stylegan_name(*metric, real, resolved, result.protocol);
    if (metric->name == "swd") describe_pyramid(result, resolved);
    if (metric->name == "kid") add_kid_notes(result, resolved, group.is_first());
    if (!resolved.request.quiet && group.is_first()) warn_of_few(*metric, result.fake_images);
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<Result> pair_results(const ResolvedRequest& resolved, const Side& real, const Side& fake,
                                 FeatureNetworks& networks, dist::Group& group) {
  std::vector<Result> results;
  for (const Metric* metric : resolved.pairs) results.push_back(base_result(*metric, resolved, real, fake));
  if (results.empty()) return results;
  try {
    std::vector<PairScore> scores = compare_pairs(
        resolved.pairs, *real.images, *fake.images,
        {resolved.fake_count, resolved.request.threads, resolved.request.max_bad_fraction}, networks, group);
    for (size_t i = 0; i < results.size(); ++i) {
      PairScore& score = scores[i];
      results[i].values = named(*resolved.pairs[i], std::move(score.values));
      results[i].error = std::move(score.error);
      results[i].notes = std::move(score.notes);
      results[i].real_images = results[i].fake_images = score.pairs;
    }
  } catch (const std::exception& error) {
    for (Result& result : results) result.error = error.what();
  }
  for (size_t i = 0; i < results.size(); ++i)
    if (resolved.pairs[i]->name == "lpips") results[i].weights["lpips"] = networks.lpips().weights();
  return results;
}

std::vector<Result> trajectory_results(const ResolvedRequest& resolved, const Side& real, const Side& fake,
                                       dist::Group& group) {
  std::vector<Result> results;
  for (const Metric* metric : resolved.trajectory) {
    results.push_back(base_result(*metric, resolved, real, fake));
    try {
      results.back().values = fake.trajectory(resolved.fake_count, group);
    } catch (const std::exception& error) {
      results.back().error = error.what();
    }
  }
  return results;
}

// Every value that is no finite number has a reason.
void explain_values(Result& result) {
  for (const auto& [name, value] : result.values)
    if (!std::isfinite(value)) result.notes.try_emplace(name, std::isnan(value) ? "not a number" : "infinite");
}

}  // namespace

Side open_side(const std::string& path, bool captions) {
  Side side;
  side.name = path;
  if (path.ends_with(".npz") && std::filesystem::is_regular_file(path) && holds_statistics(path))
    side.statistics = read_statistics(path);
  else
    side.images = open_images(path, captions);
  return side;
}

void load_networks(const std::vector<std::string>& metrics, FeatureNetworks& networks) {
  for (const std::string& name : metrics)
    if (const std::string fault = load(find_metric(name), networks); !fault.empty())
      fail<UsageError>(name, " cannot be computed: ", fault);
}

std::vector<Result> evaluate(const Request& request, const Side& real, const Side& fake, FeatureNetworks& networks,
                             dist::Group& group) {
  const auto began = std::chrono::steady_clock::now();
  ResolvedRequest resolved = resolve(request, real, fake);
  load_for(resolved, real, fake, networks);
  if (!request.quiet && group.is_first()) warn_of_refused(resolved);
  std::vector<Result> results = feature_results(resolved, real, fake, networks, group);
  for (Result& result : pair_results(resolved, real, fake, networks, group)) results.push_back(std::move(result));
  for (Result& result : trajectory_results(resolved, real, fake, group)) results.push_back(std::move(result));
  for (const auto& [name, failure] : resolved.failed) {
    results.push_back(base_result(find_metric(name), resolved, real, fake));
    results.back().error = failure.why;
    results.back().is_refused = failure.is_of_request;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  for (Result& result : results) {
    result.seconds = seconds;
    explain_values(result);
  }
  return results;
}

StatisticsFile measure(const ImageSet& images, const Request& request, FeatureNetworks& networks, dist::Group& group) {
  const std::set<std::string> names = {"inception"};
  const int64_t count = request.real_count > 0 ? std::min(request.real_count, images.size()) : images.size();
  const SideFeatures side =
      extract_side(images, "statistics", statistics_requests(names, networks), request, count, networks, group);
  for (const auto& [feature, collected] : side.collected) side.check(feature);
  if (!side.unreadable.empty() && group.is_first()) log::warn(side.unreadable);
  StatisticsFile file = to_statistics(side, names, images, networks);
  file.description["identity"] = images.identity();
  return file;
}

}  // namespace gigacat::eval
