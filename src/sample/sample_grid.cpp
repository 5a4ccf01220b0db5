#include "gigacat/sample/sample_grid.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "gigacat/io/enlarge.h"
#include "gigacat/nn/image_tensor.h"

namespace gigacat::sample {
namespace {

constexpr int64_t kDiversity = 16, kOfAClass = 4;

at::Tensor visible(const at::Tensor& images) {
  if (images.size(1) == 1 || images.size(1) == 3) return images;
  return images.narrow(1, 0, images.size(1) >= 3 ? 3 : 1) / 3;
}

}  // namespace

io::Image image_grid(const at::Tensor& images) {
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(images.size(0)))));
  return io::enlarged_grid(nn::to_images(visible(images)), columns);
}

double mean_distance(const at::Tensor& images, const std::vector<int64_t>& labels) {
  const at::Tensor rows = images.detach().to(at::kFloat).flatten(1);  // [B, C * H * W]
  const at::Tensor distances = at::cdist(rows, rows).to(at::kCPU) / std::sqrt(static_cast<double>(rows.size(1)));
  double sum = 0;
  int64_t pairs = 0;
  for (size_t i = 0; i < labels.size(); ++i)
    for (size_t j = i + 1; j < labels.size(); ++j) {
      if (labels[i] != labels[j]) continue;
      sum += distances[static_cast<int64_t>(i)][static_cast<int64_t>(j)].item<double>();
      ++pairs;
    }
  return pairs > 0 ? sum / static_cast<double>(pairs) : 0;
}

SampleGrid::SampleGrid(const Sampler& like, int64_t count, int64_t seed) {
  const int64_t conditions = like.num_conditions();
  rows_ = like.prompts();
  if (std::ssize(rows_) > count) rows_.resize(static_cast<size_t>(count));
  const int64_t a_row = rows_.empty() ? 0 : count / std::ssize(rows_);
  if (a_row > 0) count = a_row * std::ssize(rows_);
  for (int64_t i = 0; i < count; ++i) grid_.push_back({seed, i, a_row > 0 ? i / a_row : i % conditions});
  for (int64_t i = 0; i < kDiversity; ++i) diversity_.push_back({seed, i, i / kOfAClass % conditions});
}

io::Image SampleGrid::draw(const Sampler& sampler) const {
  const at::Tensor images = sampler.decode(sampler.generate(grid_));
  if (rows_.empty()) return image_grid(images);
  return io::caption_rows(io::enlarged_grid(nn::to_images(visible(images)), std::ssize(grid_) / std::ssize(rows_)),
                          rows_);
}

std::vector<io::Image> SampleGrid::first_images(const Sampler& sampler, int64_t count) const {
  const auto specs = std::span(grid_).first(static_cast<size_t>(std::min(count, std::ssize(grid_))));
  return nn::to_images(visible(sampler.decode(sampler.generate(specs))));
}

Diversity SampleGrid::diversity(const Sampler& sampler) const {
  std::vector<int64_t> labels;
  for (const SampleSpec& spec : diversity_) labels.push_back(spec.label);
  const at::Tensor images = sampler.generate(diversity_).detach().to(at::kFloat);
  const double distance = mean_distance(images, labels);
  const double deviation = images.std(/*unbiased=*/false).item<double>();
  return {distance, deviation > 0 ? distance / deviation : 0};
}

}  // namespace gigacat::sample
