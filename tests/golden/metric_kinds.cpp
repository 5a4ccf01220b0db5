// Metrics on stored features, and what happens to an image before a network sees it.
#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "gigacat/core/error.h"
#include "gigacat/eval/metrics.h"
#include "gigacat/eval/statistics.h"
#include "gigacat/io/image.h"
#include "golden/kinds.h"

namespace gigacat::golden {
namespace {

at::Tensor scalar(double value) { return at::scalar_tensor(value, at::kDouble); }

eval::Gaussian gaussian(const at::Tensor& features) {
  eval::Moments moments;
  for (const at::Tensor& block : features.flatten(1).split(7)) moments.add(block);
  return moments.gaussian();
}

void check_frechet(Case& c) {
  const at::Tensor real = c.stored("input.real"), fake = c.stored("input.fake");
  const eval::Gaussian a = gaussian(real), b = gaussian(fake);
  c.compare_relative("output.mu_real", a.mean);
  c.compare_relative("output.sigma_real", a.covariance);
  c.compare_relative("output.mu_fake", b.mean);
  c.compare_relative("output.sigma_fake", b.covariance);
  for (const char* name : {"output.fid", "output.fid_eigen"})
    c.compare_relative(name, scalar(eval::frechet_distance(a, b)));
  c.compare_within("output.fid_same", scalar(eval::frechet_distance(a, a)), c.tolerance("fid_same, absolute"));
  const int64_t few = c.config().at("few");
  const at::Tensor of_few =
      scalar(eval::frechet_distance(gaussian(real.narrow(0, 0, few)), gaussian(fake.narrow(0, 0, few))));
  c.compare_relative("output.fid_few_eigen", of_few);
  c.compare_relative("output.fid_few", of_few, c.tolerance("fid_few against fid_few_eigen, relative"));
  c.compare_relative("output.sfid", scalar(eval::frechet_distance(gaussian(c.stored("input.spatial_real")),
                                                                  gaussian(c.stored("input.spatial_fake")))));
}

void check_kernel_distance(Case& c) {
  const at::Tensor real = c.stored("input.real"), fake = c.stored("input.fake");
  const eval::KidOptions options{.subsets = c.config().at("kid_subsets"),
                                 .subset_size = c.config().at("kid_subset_size"),
                                 .seed = c.config().at("kid_seed")};
  const auto [of_real, of_fake] = eval::kernel_distance_rows(real.size(0), fake.size(0), options);
  if (!of_real.equal(c.stored("input.kid_index_real")) || !of_fake.equal(c.stored("input.kid_index_fake")))
    fail(c.name(), ": the subsets of kid are not those that numpy draws");
  const eval::Score kid = eval::kernel_distance(real, fake, options);
  c.compare_relative("output.kid_each", at::tensor(kid.each, at::kDouble));
  c.compare_relative("output.kid_mean", scalar(kid.mean));
  c.compare_relative("output.kid_std", scalar(kid.spread));
  const int64_t rows = std::min(real.size(0), fake.size(0));
  const at::Tensor x = real.narrow(0, 0, rows), y = fake.narrow(0, 0, rows);
  c.compare_relative("output.kid_full_unbiased", scalar(eval::polynomial_mmd(x, y, /*unbiased=*/true)));
  c.compare_relative("output.kid_full_biased", scalar(eval::polynomial_mmd(x, y, /*unbiased=*/false)));
}

void check_inception_score(Case& c) {
  const at::Tensor logits = c.stored("input.logits");
  eval::InceptionScore inception(eval::equal_pieces(logits.size(0), c.config().at("splits")), logits.size(1));
  int64_t first = 0;
  for (const at::Tensor& block : logits.split(29)) {
    inception.add(block, first);
    first += block.size(0);
  }
  const eval::Score score = inception.score();
  c.compare_relative("output.is_each", at::tensor(score.each, at::kDouble));
  c.compare_relative("output.is_mean", scalar(score.mean));
  c.compare_relative("output.is_std", scalar(score.spread));
}

void check_neighbours(Case& c) {
  const at::Tensor real = c.stored("input.real"), fake = c.stored("input.fake");
  const int64_t k = c.config().at("pr_k");
  c.compare_relative("output.radius_squared_real_k3", eval::squared_radii(real, k));
  c.compare_relative("output.radius_squared_fake_k3", eval::squared_radii(fake, k));
  const eval::PrecisionRecall pr = eval::precision_recall(real, fake, k);
  c.compare_relative("output.precision_k3", scalar(pr.precision));
  c.compare_relative("output.recall_k3", scalar(pr.recall));
  const eval::DensityCoverage dc = eval::density_coverage(real, fake, c.config().at("prdc_k"));
  c.compare_relative("output.prdc_precision_k5", scalar(dc.precision));
  c.compare_relative("output.prdc_recall_k5", scalar(dc.recall));
  c.compare_relative("output.prdc_density_k5", scalar(dc.density));
  c.compare_relative("output.prdc_coverage_k5", scalar(dc.coverage));
}

void check_metrics(Case& c) {
  check_frechet(c);
  check_kernel_distance(c);
  check_inception_score(c);
  check_neighbours(c);
  const at::Tensor fake = c.stored("input.clip_fake"), text = c.stored("input.text");
  c.compare_relative("output.cmmd", scalar(eval::cmmd(c.stored("input.clip_real"), fake)));
  const at::Tensor scores = eval::clip_scores(fake.narrow(0, 0, text.size(0)), text);
  c.compare_relative("output.clip_score_each", scores);
  c.compare_relative("output.clip_score_mean", scores.mean());
}

io::Image image_of(const at::Tensor& pixels) {
  const at::Tensor bytes = pixels.contiguous();
  const auto* data = static_cast<const uint8_t*>(bytes.const_data_ptr());
  return {bytes.size(0), bytes.size(1), 3, {data, data + bytes.numel()}};
}

// uint8 [H, W, 3].
at::Tensor pixels_of(const io::Image& image) {
  return at::tensor(at::ArrayRef<uint8_t>(image.pixels), at::kByte).view({image.height, image.width, image.channels});
}

at::Tensor strided(const at::Tensor& image, int64_t stride) {
  return image.slice(0, 0, {}, stride).slice(1, 0, {}, stride);
}

// float32 [H, W, 3].
at::Tensor resized(const io::Image& photo, io::Resampling method, int64_t height, int64_t width) {
  at::Tensor planes = at::empty({3, height, width}, at::kFloat);
  io::resize_planes(photo, method, height, width,
                    {planes.mutable_data_ptr<float>(), static_cast<size_t>(planes.numel())});
  return planes.permute({1, 2, 0});
}

void check_float_resize(Case& c, const io::Image& photo, const std::string& name, io::Resampling method) {
  const double allowed = c.tolerance("max_abs", "float (0..255 scale)");
  for (const std::vector<int64_t> size : c.config().at("sizes")) {
    const std::string output = cat("output.", name, "_", size[0], "x", size[1]);
    c.compare_within(output, resized(photo, method, size[0], size[1]), allowed);
  }
  const std::string sparse = cat("output.", name, "_299_stride4");
  if (c.has(sparse)) c.compare_within(sparse, strided(resized(photo, method, 299, 299), 4), allowed);
}

void check_resize(Case& c) {
  const io::Image photo = image_of(c.stored("input.photo"));
  check_float_resize(c, photo, "clean", io::Resampling::bicubic);
  check_float_resize(c, photo, "lanczos_float", io::Resampling::lanczos);
  check_float_resize(c, photo, "box_float", io::Resampling::box);
  check_float_resize(c, photo, "legacy_pytorch", io::Resampling::bilinear);
  check_float_resize(c, photo, "tf1_bilinear", io::Resampling::tf1_bilinear);
  const double allowed = c.tolerance("max_abs", "uint8");
  const std::pair<const char*, io::Image (*)(const io::Image&, int64_t, int64_t)> rounded[] = {
      {"bicubic", io::resize_bicubic},
      {"lanczos", io::resize_lanczos},
      {"box", io::resize_box},
      {"bilinear", io::resize_bilinear}};
  for (const auto& [name, resize] : rounded)
    for (const std::vector<int64_t> size : c.config().at("sizes"))
      c.compare_within(cat("output.pil_", name, "_u8_", size[0], "x", size[1]),
                       pixels_of(resize(photo, size[0], size[1])), allowed);
  for (const int64_t size : c.config().at("crops"))
    c.compare_within(cat("output.adm_center_crop_u8_", size), pixels_of(io::center_crop_adm(photo, size)), allowed);
  const io::Image narrow = io::crop(photo, 0, 0, photo.height, photo.width - 9);
  for (const auto& [name, half_to_even] : {std::pair("torchvision", true), std::pair("stylegan", false)})
    c.compare_within(cat("output.long_edge_", name, "_u8_32"),
                     pixels_of(io::resize_lanczos(io::crop_square(narrow, half_to_even), 32, 32)), allowed);
}

io::Image decoded(const at::Tensor& bytes, const std::string& name, const io::DecodeOptions& options) {
  const at::Tensor file = bytes.contiguous();
  return io::decode_image({static_cast<const std::byte*>(file.const_data_ptr()), static_cast<size_t>(file.numel())},
                          name, options);
}

void check_clip_image(Case& c, const std::string& name, const io::Image& image) {
  const at::Tensor pixels = pixels_of(io::resize_and_crop_clip(image, 224));
  const double allowed = c.tolerance("max_abs", "uint8");
  c.compare_within(cat("output.", name, "_u8_stride2"), strided(pixels, 2), allowed);
  const auto channel = [&](const char* key) {
    return at::tensor(c.config().at(key).get<std::vector<double>>(), at::kDouble);
  };
  const at::Tensor normal = (pixels.to(at::kDouble) / 255 - channel("mean")) / channel("std");
  c.compare_within(cat("output.", name, "_normalised_stride7"), strided(normal, 7).permute({2, 0, 1}),
                   c.tolerance("max_abs", "normalised"));
  const io::Image square = io::resize_bicubic(io::crop_square(image, /*half_to_even=*/false), 336, 336);
  c.compare_within(cat("output.", name, "_cmmd_u8_stride4"), strided(pixels_of(square), 4), allowed);
}

void check_clip_preprocess(Case& c) {
  check_clip_image(c, "photo", image_of(c.stored("input.photo")));
  check_clip_image(c, "jpeg", decoded(c.stored("input.jpeg"), "input.jpeg", {.as_stored = true}));
}

void check_decode(Case& c) {
  for (const auto& [name, tensor] : c.data()) {
    if (!name.starts_with("input.")) continue;
    const std::string kind = name.substr(6), output = "output." + kind;
    const double allowed = kind.starts_with("jpeg") || kind == "webp_lossy" ? 1 : 0;
    const at::Tensor stored = pixels_of(decoded(tensor, name, {.as_stored = true}));
    if (c.has(output + "_high_byte")) {  // beside it stands PIL's clipped reading, which is no image
      c.compare_within(output + "_high_byte", stored, allowed);
      c.leave_out(output + "_rgb");
    } else {
      c.compare_within(output + "_rgb", stored, allowed);
    }
    if (c.has(output + "_transposed"))
      c.compare_within(output + "_transposed", pixels_of(decoded(tensor, name, {})), allowed);
  }
}

}  // namespace

std::vector<Kind> metric_kinds() {
  return {{"metrics", check_metrics, kOnHost},
          {"resize", check_resize, kOnHost},
          {"clip_preprocess", check_clip_preprocess, kOnHost},
          {"decode", check_decode, kOnHost}};
}

}  // namespace gigacat::golden
