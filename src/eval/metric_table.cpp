#include "eval/metric_table.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "eval/pyramid.h"
#include "eval/resolved_request.h"
#include "gigacat/core/error.h"
#include "gigacat/core/text.h"

namespace gigacat::eval {
namespace {

const FeatureName kPool{"inception", "pool"}, kSpatial{"inception", "spatial"}, kLogits{"inception", "logits"},
    kPatch{"patch", "pool"}, kClip{"clip", "embedding"}, kClipLarge{"clip-l14", "embedding"},
    kPyramid{"pyramid", "patches"}, kPairs{};

Values frechet(const SideFeatures& real, const SideFeatures& fake, const FeatureName& feature,
               const ResolvedRequest& /*resolved*/) {
  return {{"", frechet_distance(real.gaussians.at(feature), fake.gaussians.at(feature))}};
}

Values inception_score(const SideFeatures& /*real*/, const SideFeatures& fake, const FeatureName& feature,
                       const ResolvedRequest& /*resolved*/) {
  const Score score = fake.collected.at(feature).inception.value().score();
  return {{"", score.mean}, {"std", score.spread}};
}

Values kid(const SideFeatures& real, const SideFeatures& fake, const FeatureName& feature,
           const ResolvedRequest& resolved) {
  const at::Tensor x = real.collected.at(feature).rows, y = fake.collected.at(feature).rows;
  const int64_t size = std::min({resolved.kid_subset, x.size(0), y.size(0)});  // fewer where images are unreadable
  const Score score = kernel_distance(x, y, {.subset_size = size});
  return {{"", score.mean}, {"std", score.spread}};
}

Values manifold(const SideFeatures& real, const SideFeatures& fake, const FeatureName& feature,
                const ResolvedRequest& /*resolved*/) {
  constexpr int64_t kNeighbours = 3;
  const PrecisionRecall pr =
      precision_recall(real.collected.at(feature).rows, fake.collected.at(feature).rows, kNeighbours);
  return {{"precision", pr.precision}, {"recall", pr.recall}};
}

Values balls(const SideFeatures& real, const SideFeatures& fake, const FeatureName& feature,
             const ResolvedRequest& /*resolved*/) {
  constexpr int64_t kNeighbours = 5;
  const DensityCoverage dc =
      density_coverage(real.collected.at(feature).rows, fake.collected.at(feature).rows, kNeighbours);
  return {{"density", dc.density}, {"coverage", dc.coverage}};
}

Values clip_discrepancy(const SideFeatures& real, const SideFeatures& fake, const FeatureName& feature,
                        const ResolvedRequest& /*resolved*/) {
  return {{"", cmmd(real.collected.at(feature).rows, fake.collected.at(feature).rows)}};
}

Values clip_score(const SideFeatures& /*real*/, const SideFeatures& fake, const FeatureName& feature,
                  const ResolvedRequest& /*resolved*/) {
  const at::Tensor cosines = fake.collected.at(feature).cosines.contiguous();
  const double* values = cosines.const_data_ptr<double>();
  const Score score = score_of({values, values + cosines.numel()});
  return {{"", score.mean}, {"std", score.spread}};
}

// Patches of a level [N * count, 147], each channel normalised over the set.
at::Tensor level_of(const at::Tensor& rows, int64_t images, int64_t level, int64_t levels) {
  const at::Tensor patches = rows.narrow(0, 0, images)
                                 .view({images, levels, -1})
                                 .select(1, level)
                                 .reshape({-1, 3, kPatchSide * kPatchSide});  // [R, channel, pixels]
  const at::Tensor centred = patches - patches.mean(at::IntArrayRef({0, 2}), /*keepdim=*/true);
  return (centred / centred.square().mean(at::IntArrayRef({0, 2}), /*keepdim=*/true).sqrt().clamp_min(1e-8)).flatten(1);
}

Values pyramid_distance(const SideFeatures& real, const SideFeatures& fake, const FeatureName& feature,
                        const ResolvedRequest& resolved) {
  constexpr double kScale = 1000;  // as Progressive GAN gives it
  const at::Tensor x = real.collected.at(feature).rows, y = fake.collected.at(feature).rows;
  const std::vector<int64_t> sides = pyramid_sides(resolved.pyramid_size);
  Values values{{"", 0}};
  const int64_t images = std::min(x.size(0), y.size(0)), levels = std::ssize(sides);
  for (int64_t level = 0; level < levels; ++level) {
    const double distance =
        kScale * sliced_wasserstein(level_of(x, images, level, levels), level_of(y, images, level, levels));
    values.front().second += distance / static_cast<double>(levels);
    values.emplace_back(cat(sides[static_cast<size_t>(level)]), distance);
  }
  return values;
}

// Root mean square distance of two images' features: sqrt(2 tr S).
double width_of(const Gaussian& g) { return std::sqrt(2 * g.covariance.trace().item<double>()); }

Values diversity(const SideFeatures& real, const SideFeatures& fake, const FeatureName& feature,
                 const ResolvedRequest& /*resolved*/) {
  const double of_real = width_of(real.gaussians.at(feature)), of_fake = width_of(fake.gaussians.at(feature));
  return {{"", of_fake / of_real}, {"real", of_real}, {"fake", of_fake}};
}

}  // namespace

void SideFeatures::check(const FeatureName& feature) const {
  if (!error.empty()) fail(error);
  if (const auto found = collected.find(feature); found != collected.end() && !found->second.error.empty())
    fail(found->second.error);
}

namespace {

std::vector<Metric> network_metrics() {
  return {
      {.name = "fid",
       .help = "Frechet distance of Inception's pool features",
       .feature = kPool,
       .moments = true,
       .usual = 50'000,
       .stylegan = "fid",
       .compute = frechet},
      {.name = "sfid",
       .help = "Frechet distance of Inception's spatial features (guided-diffusion)",
       .feature = kSpatial,
       .moments = true,
       .usual = 50'000,
       .compute = frechet},
      {.name = "is",
       .help = "inception score; needs no real side",
       .feature = kLogits,
       .inception = true,
       .usual = 50'000,
       .stylegan = "is",
       .larger_is_better = true,
       .compute = inception_score,
       .values = {"is", "is_std"}},
      {.name = "kid",
       .help = "kernel distance: 100 subsets of --kid-subset images (torch-fidelity)",
       .feature = kPool,
       .rows = true,
       .usual = 50'000,
       .stylegan = "kid",
       .compute = kid,
       .values = {"kid", "kid_std"}},
      {.name = "pr",
       .help = "precision and recall, 3 neighbours (guided-diffusion)",
       .feature = kPool,
       .rows = true,
       .usual = 50'000,
       .stylegan = "pr",
       .larger_is_better = true,
       .compute = manifold,
       .values = {"precision", "recall"}},
      {.name = "dc",
       .help = "density and coverage, 5 neighbours (prdc)",
       .feature = kPool,
       .rows = true,
       .usual = 10'000,
       .larger_is_better = true,
       .compute = balls,
       .values = {"density", "coverage"}},
      {.name = "fid-clip",
       .help = "Frechet distance of CLIP ViT-B/32 embeddings (clean-fid's clip_vit_b_32)",
       .feature = kClip,
       .moments = true,
       .usual = 50'000,
       .compute = frechet},
      {.name = "cmmd",
       .help = "discrepancy of CLIP ViT-L/14@336 embeddings",
       .feature = kClipLarge,
       .rows = true,
       .usual = 30'000,
       .compute = clip_discrepancy},
      {.name = "clip",
       .help = "cosine of each image with its caption; needs no real side",
       .feature = kClip,
       .texts = true,
       .usual = 30'000,
       .larger_is_better = true,
       .compute = clip_score,
       .values = {"clip", "clip_std"}},
      {.name = "patch-fid",
       .help = "fid of a random 299 px crop of each image",
       .feature = kPatch,
       .moments = true,
       .usual = 50'000,
       .compute = frechet},
      {.name = "diversity",
       .help = "root mean square distance of pool features, as a share of the real side's",
       .feature = kPool,
       .moments = true,
       .larger_is_better = true,
       .compute = diversity,
       .values = {"diversity", "diversity_real", "diversity_fake"}},
  };
}

std::vector<Metric> other_metrics() {
  return {
      {.name = "swd",
       .help = "sliced Wasserstein distance of Laplacian pyramid patches; needs no weights",
       .feature = kPyramid,
       .rows = true,
       .usual = 8'192,
       .compute = pyramid_distance},
      {.name = "psnr",
       .help = "peak signal-to-noise ratio of pairs with one name, dB",
       .feature = kPairs,
       .larger_is_better = true,
       .values = {"psnr", "psnr_std"}},
      {.name = "ssim",
       .help = "structural similarity of pairs with one name",
       .feature = kPairs,
       .larger_is_better = true,
       .values = {"ssim", "ssim_std"}},
      {.name = "lpips",
       .help = "perceptual distance of pairs with one name, AlexNet or VGG16 by its weights",
       .feature = kPairs,
       .values = {"lpips", "lpips_std"}},
      {.name = "trajectory",
       .help = "discrepancy, rewrite and direction of a generator's stages (CAT); needs no real side",
       .feature = kPairs,
       .trajectory = true,
       .values = {"discrepancy", "rewrite", "direction"}},
  };
}

}  // namespace

const std::vector<Metric>& metric_table() {
  static const std::vector<Metric> table = [] {
    std::vector<Metric> all = network_metrics();
    for (Metric metric : other_metrics()) all.push_back(std::move(metric));
    return all;
  }();
  return table;
}

const Metric& find_metric(const std::string& name) {
  std::vector<std::string> names;
  for (const Metric& metric : metric_table()) {
    if (metric.name == name) return metric;
    names.push_back(metric.name);
  }
  const std::string near = nearest(name, names);
  fail<UsageError>("there is no metric '", name, "'", near.empty() ? "" : ": did you mean " + near + "?",
                   " (known: ", join(names), ")");
}

std::vector<std::pair<std::string, std::string>> metric_names() {
  std::vector<std::pair<std::string, std::string>> names;
  for (const Metric& metric : metric_table()) names.emplace_back(metric.name, metric.help);
  return names;
}

std::vector<std::string> value_names() {
  std::vector<std::string> names;
  for (const Metric& metric : metric_table()) {
    if (metric.values.empty()) names.push_back(metric.name);
    names.insert(names.end(), metric.values.begin(), metric.values.end());
  }
  return names;
}

std::string metric_of(const std::string& value) {
  for (const Metric& metric : metric_table())
    if (metric.name == value || std::find(metric.values.begin(), metric.values.end(), value) != metric.values.end())
      return metric.name;
  return "";
}

bool needs_captions(const std::vector<std::string>& metrics) {
  return std::any_of(metrics.begin(), metrics.end(), [](const auto& name) { return find_metric(name).texts; });
}

bool is_larger_better(const std::string& metric) { return find_metric(metric).larger_is_better; }

}  // namespace gigacat::eval
