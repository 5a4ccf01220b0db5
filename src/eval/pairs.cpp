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
#include "eval/prefetch.h"
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

[[noreturn]] void fail_of_two(const ImageSet& set, const std::string& name) {
  fail(set.name(), " holds two images called ", name, " (but for their endings): pairs are matched by name");
}

Matches match(const ImageSet& real, const ImageSet& fake, int64_t count) {
  std::unordered_map<std::string, int64_t> places;
  for (int64_t i = 0; i < real.size(); ++i)
    if (!places.emplace(real.image_name(i), i).second) fail_of_two(real, real.image_name(i));
  Matches matches;
  std::vector<std::string> only_real, only_fake;
  std::unordered_set<std::string> names;
  for (int64_t i = 0; i < fake.size(); ++i) {
    const std::string name = fake.image_name(i);
    if (!names.insert(name).second) fail_of_two(fake, name);
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

// What became of a pair in a metric.
enum Outcome : int64_t { kScored, kOdd, kUnreadable };

// Scores of this rank's pairs, [pairs, metrics], what became of each, and the first error of each kind.
class PairScorer {
 public:
  PairScorer(const std::vector<const Metric*>& metrics, int64_t pairs, FeatureNetworks& networks)
      : scores(at::zeros({pairs, std::ssize(metrics)}, at::kDouble)),
        outcomes(at::full({pairs, std::ssize(metrics)}, int64_t{kScored}, at::kLong)),
        odd(metrics.size()),
        errors(metrics.size()),
        metrics_(metrics),
        networks_(networks) {}

  // Row `row` of the metrics that run on networks, or of the others. Thread-safe for the others.
  void add(int64_t row, const io::Image& real, const io::Image& fake, bool on_networks, const std::string& name) {
    for (size_t m = 0; m < metrics_.size(); ++m) {
      if (needs_network(*metrics_[m]) != on_networks) continue;
      const int64_t place = row * std::ssize(metrics_) + static_cast<int64_t>(m);
      try {
        scores.data_ptr<double>()[place] = score(*metrics_[m], real, fake, networks_);
      } catch (const InternalError&) {
        throw;
      } catch (const Error& error) {
        outcomes.data_ptr<int64_t>()[place] = kOdd;
        note(odd[m], cat(name, ": ", error.what()));
      } catch (const std::exception& error) {
        note(errors[m], cat(name, ": ", error.what()));
      }
    }
  }

  // Thread-safe.
  void add_unreadable(int64_t row, const std::string& reason) {
    std::fill_n(outcomes.data_ptr<int64_t>() + row * std::ssize(metrics_), std::ssize(metrics_), int64_t{kUnreadable});
    log::warn("left out: ", reason);
    const std::lock_guard lock(mutex_);
    if (bad++ == 0) first_bad = reason;
  }

  at::Tensor scores, outcomes;
  std::vector<std::string> odd, errors;  // of each metric: pairs that it cannot compare; all else
  int64_t bad = 0;                       // pairs that cannot be read
  std::string first_bad;

 private:
  void note(std::string& first, const std::string& text) {
    const std::lock_guard lock(mutex_);
    if (first.empty()) first = text;
  }

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

// Images of a pair; `bad` says why they cannot be read.
struct LoadedPair {
  io::Image real, fake;
  std::string bad;
  // Reads into `image`. Errors: InternalError.
  void read(io::Image& image, const ImageSet& set, int64_t index) {
    try {
      image = set.read(index, index + 1).at(0);
    } catch (const InternalError&) {
      throw;
    } catch (const Error& error) {
      if (bad.empty()) bad = named_fault(set, index, error.what());
    }
  }
};

void score_pairs(const Matches& matches, int64_t first, int64_t last, const ImageSet& real, const ImageSet& fake,
                 int64_t threads, PairScorer& scorer) {
  Progress progress("pairs", "pair", last - first);
  for (int64_t begin = first; begin < last; begin += kAtOnce) {
    const int64_t end = std::min(begin + kAtOnce, last);
    std::vector<LoadedPair> pairs(static_cast<size_t>(end - begin));
    const auto indices_of = [&, begin](int64_t k) { return matches.pairs[static_cast<size_t>(begin + k)]; };
    const auto score_pair = [&, begin](int64_t k, bool on_networks) {
      const LoadedPair& pair = pairs[static_cast<size_t>(k)];
      if (!pair.bad.empty()) return;
      const std::string name = cat(fake.name(), "/", fake.image_name(indices_of(k).second));
      scorer.add(begin - first + k, pair.real, pair.fake, on_networks, name);
    };
    if (!fake.is_concurrent())  // what a network makes is made in this thread
      for (int64_t k = 0; k < end - begin; ++k) {
        LoadedPair& pair = pairs[static_cast<size_t>(k)];
        pair.read(pair.fake, fake, indices_of(k).second);
      }
    parallel_for(end - begin, threads, [&](int64_t k) {
      LoadedPair& pair = pairs[static_cast<size_t>(k)];
      pair.read(pair.real, real, indices_of(k).first);
      if (fake.is_concurrent()) pair.read(pair.fake, fake, indices_of(k).second);
      if (!pair.bad.empty()) scorer.add_unreadable(begin - first + k, pair.bad);
      score_pair(k, /*on_networks=*/false);
    });
    for (int64_t k = 0; k < end - begin; ++k) score_pair(k, /*on_networks=*/true);
    progress.update(end - first);
  }
  progress.finish();
}

// The score of one metric from those of all pairs [N] and what became of them.
PairScore score_of_metric(const at::Tensor& column, const at::Tensor& outcomes, const std::string& first_odd) {
  const at::Tensor scored = column.masked_select(outcomes == int64_t{kScored});
  const auto odd = (outcomes == int64_t{kOdd}).sum().item<int64_t>();
  if (scored.numel() == 0) return {.error = first_odd};
  PairScore score = summarize(scored);
  score.pairs = scored.numel();
  if (odd > 0)
    score.notes["incomparable"] =
        cat(odd, " of the ", column.numel(), " pairs cannot be compared, the first: ", first_odd);
  return score;
}

}  // namespace

std::vector<PairScore> compare_pairs(const std::vector<const Metric*>& metrics, const ImageSet& real,
                                     const ImageSet& fake, const PairOptions& options, FeatureNetworks& networks,
                                     dist::Group& group) {
  const Matches matches = match(real, fake, options.count);
  if (group.is_first())
    for (const auto& [key, text] : matches.notes) log::warn(text);
  const auto [first, last] = share_of(std::ssize(matches.pairs), kAtOnce, group.rank(), group.size());
  PairScorer scorer(metrics, last - first, networks);
  std::string read_error;
  try {
    score_pairs(matches, first, last, real, fake, options.threads, scorer);
  } catch (const std::exception& error) {
    read_error = error.what();
  }
  if (const std::string error = first_error(read_error, group); !error.empty()) throw Error(error);
  const std::string unreadable = unreadable_text(scorer.bad, scorer.first_bad, std::ssize(matches.pairs), "pairs",
                                                 options.max_bad_fraction, group);
  const at::Tensor scores = gather_rows(scorer.scores, std::ssize(metrics), at::kDouble, group);
  const at::Tensor outcomes = gather_rows(scorer.outcomes, std::ssize(metrics), at::kLong, group);
  std::vector<PairScore> results;
  for (size_t m = 0; m < metrics.size(); ++m) {
    const std::string error = first_error(scorer.errors[m], group), odd = first_error(scorer.odd[m], group);
    const auto column = static_cast<int64_t>(m);
    PairScore score = error.empty() ? score_of_metric(scores.select(1, column), outcomes.select(1, column), odd)
                                    : PairScore{.error = error};
    score.notes.insert(matches.notes.begin(), matches.notes.end());
    if (!unreadable.empty()) score.notes["unreadable"] = unreadable;
    results.push_back(std::move(score));
  }
  return results;
}

}  // namespace gigacat::eval
