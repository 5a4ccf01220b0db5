#include "eval/pairs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "eval/feature_extraction.h"
#include "eval/pair_metrics.h"
#include "gigacat/core/error.h"
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

// For each fake image the real one of its name.
std::vector<int64_t> partners(const ImageSet& real, const ImageSet& fake, int64_t count) {
  std::unordered_map<std::string, int64_t> places;
  for (int64_t i = 0; i < real.size(); ++i)
    if (!places.emplace(real.image_name(i), i).second)
      fail(real.name(), " holds two images called ", real.image_name(i), ": pairs are matched by name");
  std::vector<int64_t> found;
  for (int64_t i = 0; i < count; ++i) {
    const auto place = places.find(fake.image_name(i));
    if (place == places.end())
      fail(fake.name(), "/", fake.image_name(i), " has no partner of that name in ", real.name());
    found.push_back(place->second);
  }
  return found;
}

}  // namespace

PairScores compare_pairs(const std::vector<const Metric*>& metrics, const ImageSet& real, const ImageSet& fake,
                         int64_t count, int64_t threads, FeatureNetworks& networks, dist::Group& group) {
  const std::vector<int64_t> of_real = partners(real, fake, count);
  const auto [first, last] = share_of(count, kAtOnce, group.rank(), group.size());
  const auto width = static_cast<int64_t>(metrics.size());
  at::Tensor scores = at::zeros({last - first, width}, at::kDouble);  // [pairs, metrics]
  Progress progress("pairs", "pair", last - first);
  for (int64_t begin = first; begin < last; begin += kAtOnce) {
    const int64_t end = std::min(begin + kAtOnce, last);
    std::vector<std::pair<io::Image, io::Image>> pairs(static_cast<size_t>(end - begin));
    const auto score_pair = [&, offset = begin - first, start = begin](int64_t k, bool by_network) {
      const auto& [a, b] = pairs[static_cast<size_t>(k)];
      try {
        double* row = scores.data_ptr<double>() + (offset + k) * width;
        for (int64_t m = 0; m < width; ++m)
          if (const Metric& metric = *metrics[static_cast<size_t>(m)]; needs_network(metric) == by_network)
            row[m] = score(metric, a, b, networks);
      } catch (const Error& error) {
        fail(fake.name(), "/", fake.image_name(start + k), ": ", error.what());
      }
    };
    // Generated images come in whole batches, from this thread.
    std::vector<io::Image> generated;
    if (!fake.is_concurrent()) generated = fake.read(begin, end);
    parallel_for(end - begin, threads, [&, start = begin](int64_t k) {
      const int64_t i = start + k, j = of_real[static_cast<size_t>(i)];
      pairs[static_cast<size_t>(k)] = {real.read(j, j + 1)[0], generated.empty()
                                                                   ? fake.read(i, i + 1)[0]
                                                                   : std::move(generated[static_cast<size_t>(k)])};
      score_pair(k, /*by_network=*/false);
    });
    for (int64_t k = 0; k < end - begin; ++k) score_pair(k, /*by_network=*/true);
    progress.update(end - first);
  }
  progress.finish();
  const at::Tensor all = gather_rows(scores, width, at::kDouble, group);
  PairScores result{.values = {}, .pairs = count};
  for (int64_t m = 0; m < width; ++m) {
    const at::Tensor column = all.select(1, m).contiguous();
    const Score spread = score_of({column.const_data_ptr<double>(), column.const_data_ptr<double>() + column.numel()});
    result.values.push_back({{"", spread.mean}, {"std", spread.spread}});
  }
  return result;
}

}  // namespace gigacat::eval
