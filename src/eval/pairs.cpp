#include "eval/pairs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "eval/feature_extraction.h"
#include "eval/pair_metrics.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/core/parallel.h"
#include "gigacat/core/progress.h"

namespace gigacat::eval {
namespace {

constexpr int64_t kAtOnce = 64;  // pairs in memory at once

// Networks run in the calling thread only: LibTorch spreads their work over all cores.
bool needs_network(const Metric& metric) { return metric.name == "lpips"; }

double score(const Metric& metric, const io::Image& real, const io::Image& fake, FeatureNetworks& networks) {
  if (metric.name == "psnr") return psnr(real, fake);
  if (metric.name == "lpips") return networks.lpips().distance(real, fake);
  GIGACAT_CHECK(metric.name == "ssim", metric.name);
  return ssim(real, fake);
}

// Images of both sides by name.
struct Matches {
  std::vector<std::pair<int64_t, int64_t>> pairs;  // numbers of the real and the fake image, in the order of fake
  std::map<std::string, std::string> notes;        // on images without a partner
};

// "3 of the 12 images of truth have no partner in result: 10, 11, 12".
std::string missing_text(const std::vector<std::string>& names, int64_t of, const ImageSet& set,
                         const ImageSet& other) {
  constexpr size_t kNamed = 5;
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<int64_t>(std::min(kNamed, names.size())));
  return cat(names.size(), " of the ", of, " images of ", set.name(), names.size() == 1 ? " has" : " have",
             " no partner in ", other.name(), ": ", join(first), names.size() > kNamed ? ", ..." : "");
}

Matches match(const ImageSet& real, const ImageSet& fake, int64_t count) {
  std::unordered_map<std::string, int64_t> places;
  for (int64_t i = 0; i < real.size(); ++i)
    if (!places.emplace(real.image_name(i), i).second)
      fail(real.name(), " holds two images called ", real.image_name(i), ": pairs are matched by name");
  Matches matches;
  std::vector<std::string> only_real, only_fake;
  std::unordered_set<std::string> names;
  for (int64_t i = 0; i < fake.size(); ++i) {
    const std::string name = fake.image_name(i);
    names.insert(name);
    if (i >= count) continue;
    if (const auto place = places.find(name); place != places.end())
      matches.pairs.emplace_back(place->second, i);
    else
      only_fake.push_back(name);
  }
  for (int64_t i = 0; i < real.size(); ++i)
    if (!names.contains(real.image_name(i))) only_real.push_back(real.image_name(i));
  if (matches.pairs.empty())
    fail("no image of ", fake.name(), " has the name of one of ", real.name(), " (the first are ", fake.image_name(0),
         " and ", real.image_name(0), "): pairs are matched by name");
  if (!only_real.empty()) matches.notes["missing_fake"] = missing_text(only_real, real.size(), real, fake);
  if (!only_fake.empty()) matches.notes["missing_real"] = missing_text(only_fake, count, fake, real);
  return matches;
}

// Scores of this rank's pairs, [pairs, metrics], and the error of each metric.
class PairScorer {
 public:
  PairScorer(const std::vector<const Metric*>& metrics, int64_t pairs, FeatureNetworks& networks)
      : scores(at::zeros({pairs, std::ssize(metrics)}, at::kDouble)),
        errors(metrics.size()),
        metrics_(metrics),
        networks_(networks) {}

  // Row `row` of the metrics that run on networks, or of the others. Thread-safe for the others.
  void add(int64_t row, const io::Image& real, const io::Image& fake, bool on_networks, const std::string& name) {
    for (size_t m = 0; m < metrics_.size(); ++m) {
      if (needs_network(*metrics_[m]) != on_networks) continue;
      try {
        scores.data_ptr<double>()[row * std::ssize(metrics_) + static_cast<int64_t>(m)] =
            score(*metrics_[m], real, fake, networks_);
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex_);
        if (errors[m].empty()) errors[m] = cat(name, ": ", error.what());
      }
    }
  }

  at::Tensor scores;
  std::vector<std::string> errors;

 private:
  const std::vector<const Metric*>& metrics_;
  FeatureNetworks& networks_;
  std::mutex mutex_;
};

// Mean and deviation. The PSNR of equal images is infinite: the mean of the other pairs stands beside it.
PairScore summarize(const at::Tensor& column) {
  std::vector<double> others;
  for (int64_t i = 0; i < column.size(0); ++i)
    if (const auto value = column[i].item<double>(); !std::isinf(value)) others.push_back(value);
  const int64_t equal = column.size(0) - std::ssize(others);
  PairScore result;
  if (equal > 0) {
    result.values.emplace_back("", HUGE_VAL);
    result.notes["psnr"] =
        cat("infinite: ", equal, " of ", column.size(0), equal == 1 ? " pairs is" : " pairs are", " of equal images");
  }
  if (others.empty()) return result;
  const Score score = score_of(std::move(others));
  result.values.emplace_back(equal > 0 ? "unequal" : "", score.mean);
  result.values.emplace_back(equal > 0 ? "unequal_std" : "std", score.spread);
  return result;
}

void score_pairs(const Matches& matches, int64_t first, int64_t last, const ImageSet& real, const ImageSet& fake,
                 int64_t threads, PairScorer& scorer) {
  Progress progress("pairs", "pair", last - first);
  for (int64_t begin = first; begin < last; begin += kAtOnce) {
    const int64_t end = std::min(begin + kAtOnce, last);
    std::vector<std::pair<io::Image, io::Image>> pairs(static_cast<size_t>(end - begin));
    const auto fake_of = [&, begin](int64_t k) { return matches.pairs[static_cast<size_t>(begin + k)].second; };
    const auto name_of = [&](int64_t k) { return cat(fake.name(), "/", fake.image_name(fake_of(k))); };
    const auto read = [&, begin](int64_t k) {
      const int64_t i = matches.pairs[static_cast<size_t>(begin + k)].first, j = fake_of(k);
      auto& [a, b] = pairs[static_cast<size_t>(k)];
      a = real.read(i, i + 1)[0];
      if (fake.is_concurrent()) b = fake.read(j, j + 1)[0];
    };
    const auto score_pair = [&, begin](int64_t k, bool on_networks) {
      const auto& [a, b] = pairs[static_cast<size_t>(k)];
      scorer.add(begin - first + k, a, b, on_networks, name_of(k));
    };
    if (!fake.is_concurrent()) {  // generated images come in whole batches, from this thread
      std::vector<io::Image> generated = fake.read(fake_of(0), fake_of(end - begin - 1) + 1);
      for (int64_t k = 0; k < end - begin; ++k)
        pairs[static_cast<size_t>(k)].second = std::move(generated[static_cast<size_t>(fake_of(k) - fake_of(0))]);
    }
    parallel_for(end - begin, threads, [&](int64_t k) {
      read(k);
      score_pair(k, /*on_networks=*/false);
    });
    for (int64_t k = 0; k < end - begin; ++k) score_pair(k, /*on_networks=*/true);
    progress.update(end - first);
  }
  progress.finish();
}

}  // namespace

PairScores compare_pairs(const std::vector<const Metric*>& metrics, const ImageSet& real, const ImageSet& fake,
                         int64_t count, int64_t threads, FeatureNetworks& networks, dist::Group& group) {
  const Matches matches = match(real, fake, count);
  if (group.is_first())
    for (const auto& [key, text] : matches.notes) log::warn(text);
  const auto [first, last] = share_of(std::ssize(matches.pairs), kAtOnce, group.rank(), group.size());
  PairScorer scorer(metrics, last - first, networks);
  std::string read_error;
  try {
    score_pairs(matches, first, last, real, fake, threads, scorer);
  } catch (const std::exception& error) {
    read_error = error.what();
  }
  if (const std::string error = first_error(read_error, group); !error.empty()) throw Error(error);
  const at::Tensor all = gather_rows(scorer.scores, std::ssize(metrics), at::kDouble, group);
  PairScores result{.metrics = {}, .pairs = std::ssize(matches.pairs)};
  for (size_t m = 0; m < metrics.size(); ++m) {
    const std::string error = first_error(scorer.errors[m], group);
    PairScore score = error.empty() ? summarize(all.select(1, static_cast<int64_t>(m))) : PairScore{.error = error};
    score.notes.insert(matches.notes.begin(), matches.notes.end());
    result.metrics.push_back(std::move(score));
  }
  return result;
}

}  // namespace gigacat::eval
