// Plan -> a pass over each side, or its statistics -> the metrics.
#include "gigacat/eval/evaluate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "eval/metric_table.h"
#include "eval/pairs.h"
#include "eval/pass.h"
#include "eval/plan.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"

namespace gigacat::eval {
namespace {

void warn_of_images(const PassResult& pass, const std::string& name, const dist::Group& group) {
  if (!group.is_first()) return;
  if (pass.duplicates > 0)
    log::warn(name, ": ", pass.duplicates, " of ", pass.images, " images are equal to another one");
  if (pass.least_height != pass.most_height || pass.least_width != pass.most_width)
    log::warn(name, ": images differ in size, from ", pass.least_width, "x", pass.least_height, " to ", pass.most_width,
              "x", pass.most_height);
}

PassOptions pass_options(const Request& request, const std::string& title, int64_t count, dist::Group& group) {
  constexpr int64_t kBatchCpu = 16, kBatchGpu = 64;
  const int64_t usual = group.device().is_cpu() ? kBatchCpu : kBatchGpu;
  return {.title = title,
          .count = count,
          .batch = request.batch > 0 ? request.batch : usual,
          .threads = std::max<int64_t>(1, request.threads),
          .prompt_prefix = request.prompt_prefix};
}

SideFeatures from_pass(PassResult pass, const Wishes& wishes) {
  SideFeatures side{.images = pass.images};
  for (const auto& [name, wanted] : wishes)
    if (wanted.moments) side.gaussians[name] = pass.features.at(name).moments.gaussian();
  side.collected = std::move(pass.features);
  return side;
}

void check_origin(const StatisticsFile& file, const std::string& name, const std::string& key,
                  const std::string& wanted) {
  const auto found = file.description.find(key);
  if (found != file.description.end() && found->second != wanted)
    fail<UsageError>(name, " was made with ", key, " ", found->second, ", not ", wanted,
                     ": numbers of the two do not compare");
}

// `shelf_in_use`: the other side is measured with its networks, which must then be those of the file.
SideFeatures from_statistics(const StatisticsFile& file, const std::string& name, const Wishes& wishes,
                             NetworkShelf& shelf, bool shelf_in_use) {
  check_origin(file, name, "protocol", shelf.protocol());
  SideFeatures side;
  for (const auto& [feature, wanted] : wishes) {
    side.gaussians[feature] = file.gaussians.at(key_of(feature));
    const std::string key = "weights of " + feature.network;
    if (shelf_in_use && file.description.contains(key))
      check_origin(file, name, key, shelf.get(feature.network).weights());
  }
  const auto count = file.description.find("images");
  if (count != file.description.end()) side.images = parse_int(count->second, name + ": images");
  return side;
}

// Every feature that files of statistics hold of the networks in `networks`.
Wishes statistics_wishes(const std::set<std::string>& networks) {
  Wishes wishes;
  for (const Metric& metric : metric_table())
    if (metric.moments && networks.contains(metric.feature.network)) wishes[metric.feature].moments = true;
  return wishes;
}

StatisticsFile file_of(const SideFeatures& side, const std::set<std::string>& networks, const ImageSet& images,
                       NetworkShelf& shelf) {
  StatisticsFile file;
  for (const auto& [name, gaussian] : side.gaussians) file.gaussians[key_of(name)] = gaussian;
  file.description = {{"protocol", shelf.protocol()}, {"images", cat(side.images)}, {"of", images.name()}};
  for (const std::string& network : networks) file.description["weights of " + network] = shelf.get(network).weights();
  return file;
}

// Statistics of a real side by way of the cache.
SideFeatures cached_statistics(const Plan& plan, const Side& real, const Wishes& wishes, NetworkShelf& shelf,
                               dist::Group& group) {
  std::set<std::string> networks;
  for (const auto& [name, wanted] : wishes) networks.insert(name.network);
  const std::string file = dist::on_first(group, "cached statistics", [&] {
    const std::string identity = plan.request.cache.empty() ? "" : real.images->identity();
    if (identity.empty()) return std::string();
    std::string key = cat(identity, " ", plan.real_count, " ", shelf.protocol());
    for (const std::string& network : networks) key += cat(" ", network, " ", shelf.get(network).weights());
    const std::string digest = sha256(std::as_bytes(std::span<const char>(key))).substr(0, 32);
    return (fs::path(plan.request.cache) / "statistics" / (digest + ".npz")).string();
  });
  const std::string found = dist::on_first(group, "cached statistics",
                                           [&] { return std::string(!file.empty() && fs::exists(file) ? "yes" : ""); });
  if (!found.empty()) {
    log::info("statistics of ", real.name, " from the cache: ", file);
    if (!group.is_first()) return {};  // the file lies on the first rank's machine, where figures are computed
    return from_statistics(read_statistics(file), file, wishes, shelf, /*shelf_in_use=*/true);
  }
  const Wishes all = statistics_wishes(networks);
  PassResult pass =
      run_pass(*real.images, all, shelf, pass_options(plan.request, "real", plan.real_count, group), group);
  warn_of_images(pass, real.name, group);
  SideFeatures side = from_pass(std::move(pass), all);
  if (!file.empty())
    dist::on_first(group, "cached statistics", [&] {
      fs::create_directories(fs::path(file).parent_path());
      write_statistics(file, file_of(side, networks, *real.images, shelf));
      return std::string();
    });
  return side;
}

SideFeatures measure_real(const Plan& plan, const Side& real, const Side& fake, NetworkShelf& shelf,
                          dist::Group& group) {
  const Wishes wishes = wishes_of(plan.features, /*fake=*/false, plan.real_count, shelf.protocol());
  if (wishes.empty()) return {};
  if (real.statistics)
    return from_statistics(*real.statistics, real.name, wishes, shelf, /*shelf_in_use=*/fake.images != nullptr);
  const bool rows = std::any_of(wishes.begin(), wishes.end(), [](const auto& wish) { return wish.second.rows; });
  if (!rows) return cached_statistics(plan, real, wishes, shelf, group);
  PassResult pass =
      run_pass(*real.images, wishes, shelf, pass_options(plan.request, "real", plan.real_count, group), group);
  warn_of_images(pass, real.name, group);
  return from_pass(std::move(pass), wishes);
}

SideFeatures measure_fake(const Plan& plan, const Side& real, const Side& fake, NetworkShelf& shelf,
                          dist::Group& group) {
  const Wishes wishes = wishes_of(plan.features, /*fake=*/true, plan.fake_count, shelf.protocol());
  if (wishes.empty()) return {};
  if (fake.statistics)
    return from_statistics(*fake.statistics, fake.name, wishes, shelf, /*shelf_in_use=*/real.images != nullptr);
  PassResult pass =
      run_pass(*fake.images, wishes, shelf, pass_options(plan.request, "fake", plan.fake_count, group), group);
  warn_of_images(pass, fake.name, group);
  return from_pass(std::move(pass), wishes);
}

// On rank 0; figures with large kernels take minutes.
Values compute(const Metric& metric, const SideFeatures& real, const SideFeatures& fake, dist::Group& group) {
  const std::string text = dist::on_first(group, metric.name.c_str(), [&] {
    nlohmann::json json;
    for (const auto& [name, value] : metric.compute(real, fake, metric.feature)) json.push_back({name, value});
    return json.dump();
  });
  Values values;
  for (const auto& item : nlohmann::json::parse(text)) values.emplace_back(item[0], item[1].get<double>());
  return values;
}

// "fid50k_full": N in thousands, the whole real side.
std::string stylegan_name(const Metric& metric, const Side& real, const Plan& plan, const std::string& protocol) {
  constexpr int64_t kThousand = 1000;
  if (metric.stylegan.empty() || protocol != "adm" || plan.fake_count < kThousand || plan.fake_count % kThousand != 0)
    return "";
  std::string name = cat(metric.stylegan, plan.fake_count / kThousand, "k");
  if (metric.name == "pr") name += "3";
  if (!metric.needs_real()) return name;
  const bool whole = real.statistics || (real.images && plan.real_count == real.images->size());
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

Result base_result(const Metric& metric, const Plan& plan, const Side& real, const Side& fake) {
  Result result{.metric = metric.name,
                .fake_images = plan.fake_count,
                .real = metric.needs_real() ? real.name : "",
                .fake = fake.name};
  if (metric.needs_real()) result.real_images = plan.real_count;
  if (fake.images) result.description = fake.images->description();
  return result;
}

// First digits of the hash of a network's weights; of two files of statistics what they say of it, "" when they do not.
std::string weights_of(const std::string& network, const Side& real, const Side& fake, NetworkShelf& shelf) {
  if (!real.statistics || !fake.statistics) return shelf.get(network).weights();
  const std::string key = "weights of " + network;
  const auto known = real.statistics->description.find(key);
  if (known == real.statistics->description.end()) return "";
  check_origin(*fake.statistics, fake.name, key, known->second);
  return known->second;
}

std::vector<Result> feature_results(const Plan& plan, const Side& real, const Side& fake, NetworkShelf& shelf,
                                    dist::Group& group) {
  if (plan.features.empty()) return {};
  if (group.is_first()) announce_memory(plan.features, plan.real_count, plan.fake_count);
  SideFeatures of_real = measure_real(plan, real, fake, shelf, group),
               of_fake = measure_fake(plan, real, fake, shelf, group);
  if (group.is_first())
    for (SideFeatures* side : {&of_real, &of_fake})
      for (auto& [name, collected] : side->collected)
        if (collected.rows.defined()) collected.rows = collected.rows.to(group.device());
  std::vector<Result> results;
  for (const Metric* metric : plan.features) {
    Result result = base_result(*metric, plan, real, fake);
    result.protocol = shelf.protocol();
    result.values = named(*metric, compute(*metric, of_real, of_fake, group));
    if (metric->needs_real() && result.real_images == 0) result.real_images = of_real.images;
    if (result.fake_images == 0) result.fake_images = of_fake.images;
    result.weights[metric->feature.network] = weights_of(metric->feature.network, real, fake, shelf);
    result.stylegan = stylegan_name(*metric, real, plan, shelf.protocol());
    if (!plan.request.quiet && group.is_first()) warn_of_few(*metric, result.fake_images);
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<Result> pair_results(const Plan& plan, const Side& real, const Side& fake, NetworkShelf& shelf,
                                 dist::Group& group) {
  if (plan.pairs.empty()) return {};
  const PairScores scores =
      compare_pairs(plan.pairs, *real.images, *fake.images, plan.fake_count, plan.request.threads, shelf, group);
  std::vector<Result> results;
  for (size_t i = 0; i < plan.pairs.size(); ++i) {
    results.push_back(base_result(*plan.pairs[i], plan, real, fake));
    results.back().values = named(*plan.pairs[i], scores.values[i]);
    results.back().real_images = scores.pairs;
    if (plan.pairs[i]->name == "lpips") results.back().weights["lpips"] = shelf.lpips().weights();
  }
  return results;
}

std::vector<Result> own_results(const Plan& plan, const Side& real, const Side& fake, dist::Group& group) {
  std::vector<Result> results;
  for (const Metric* metric : plan.own) {
    results.push_back(base_result(*metric, plan, real, fake));
    results.back().values = fake.trajectory(plan.fake_count, group);
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

std::vector<Result> evaluate(const Request& request, const Side& real, const Side& fake, NetworkShelf& shelf,
                             dist::Group& group) {
  const auto began = std::chrono::steady_clock::now();
  const Plan plan = make_plan(request, real, fake);
  std::vector<Result> results = feature_results(plan, real, fake, shelf, group);
  for (Result& result : pair_results(plan, real, fake, shelf, group)) results.push_back(std::move(result));
  for (Result& result : own_results(plan, real, fake, group)) results.push_back(std::move(result));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  for (Result& result : results) result.seconds = seconds;
  return results;
}

StatisticsFile measure(const ImageSet& images, const Request& request, NetworkShelf& shelf, dist::Group& group) {
  const std::set<std::string> networks = {"inception"};
  const Wishes wishes = statistics_wishes(networks);
  const int64_t count = request.real_count > 0 ? std::min(request.real_count, images.size()) : images.size();
  PassResult pass = run_pass(images, wishes, shelf, pass_options(request, "statistics", count, group), group);
  warn_of_images(pass, images.name(), group);
  StatisticsFile file = file_of(from_pass(std::move(pass), wishes), networks, images, shelf);
  file.description["identity"] = images.identity();
  return file;
}

}  // namespace gigacat::eval
