// Letters: K stages, B samples of a call, C channels, H height, W width.
#include "apply/sampler.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/nn/state.h"

namespace gigacat::apply {
namespace {

// Matrix products of fewer rows take other kernels on a CPU, which round differently.
constexpr int64_t kRows = 8;

}  // namespace

Sampler::Sampler(const WeightSource& source, const SampleRequest& request, at::Device device)
    : device_(device),
      rows_(device.is_cuda() ? (request.batch + kRows - 1) / kRows * kRows : kRows),
      options_{request.truncation, request.guidance, request.all_stages, {}},
      config_(train::parse_config(read_file(source.config), source.config.string(), request.overrides)),
      shape_(config_->image_shape()),
      space_(config_->open_space(device)) {
  if (space_.is_pixels() && shape_.channels != 1 && shape_.channels != 3)
    fail<UsageError>(source.origin.string(), " makes latents of ", shape_.channels,
                     " channels, which only their autoencoder turns into images: give autoencoder.kind=... and "
                     "autoencoder.weights=...");
  recipes::Recipe& recipe = *config_->recipe;
  prompts_ = recipe.prompts();
  if (prompts_.empty() && !request.prompts.empty())
    fail<UsageError>("--prompt: ", source.origin.string(), " is a model of classes, not of text: give --labels");
  if (!request.prompts.empty()) prompts_ = request.prompts;
  recipe.build(shape_, static_cast<uint64_t>(config_->seed));
  nn::load_state(recipe.generator(), nn::read_tensors(source.weights), source.weights.string());
  recipe.generator().to(device);
  recipe.generator().eval();
  if (!request.upsampler.empty()) {
    if (options_.all_stages) fail<UsageError>("--all-stages and --upsampler: an upsampler takes the last stage alone");
    upsampler_ = std::make_unique<Upsampler>(
        request.upsampler, UpsampleOptions{.scale = request.scale, .seed = static_cast<uint64_t>(request.seed)},
        weights::LoadOptions{.device = device});
    scale_ = upsampler_->scale();
  }
  if (options_.all_stages) stages_ = images(std::vector<Item>(1)).size(0);
}

Sampler::Asked Sampler::asked(std::span<const Item> items) const {
  std::vector<at::Tensor> latents;
  std::vector<int64_t> labels;
  Asked asked{.z = {}, .labels = {}, .options = options_};
  for (const Item& item : items) {
    latents.push_back(config_->recipe->latent(static_cast<uint64_t>(item.seed), {item.index}, device_));
    labels.push_back(prompts_.empty() ? item.label : 0);
    if (!prompts_.empty()) asked.options.captions.push_back(prompts_.at(static_cast<size_t>(item.label)));
  }
  asked.z = at::cat(latents);
  asked.labels = at::tensor(labels, at::kLong).to(device_);
  return asked;
}

at::Tensor Sampler::images(std::span<const Item> items) const {
  const at::NoGradGuard no_grad;
  recipes::Recipe& recipe = *config_->recipe;
  std::vector<Item> filled(items.begin(), items.end());
  while (std::ssize(filled) < rows_) filled.push_back(filled.back());
  const Asked a = asked(filled);
  const at::Tensor x = recipe.sample(recipe.generator(), a.z, a.labels, a.options);  // [K, B, C, H, W]
  const at::Tensor rgb = space_.decode(x.flatten(0, 1));                             // [K * B, C, H, W]
  return rgb.to(at::kCPU, at::kFloat).unflatten(0, {x.size(0), x.size(1)}).contiguous();
}

std::vector<std::pair<std::string, double>> Sampler::diagnostics(std::span<const Item> items) const {
  const at::NoGradGuard no_grad;
  Asked a = asked(items);
  a.options.all_stages = true;
  return config_->recipe->diagnostics(config_->recipe->sample(config_->recipe->generator(), a.z, a.labels, a.options));
}

models::Style Sampler::style(std::span<const Item> items, double truncation) const {
  Asked a = asked(items);
  a.options.truncation = truncation;
  return config_->recipe->style(config_->recipe->generator(), a.z, a.labels, a.options);
}

std::vector<io::Image> Sampler::draw(const models::Style& style) const {
  const at::NoGradGuard no_grad;
  recipes::Recipe& recipe = *config_->recipe;
  std::vector<io::Image> drawn;
  for (int64_t first = 0; first < style.size(); first += rows_) {
    const int64_t last = std::min(first + rows_, style.size());
    const models::Style some = style.at(at::arange(first, last, at::TensorOptions(device_).dtype(at::kLong)));
    const at::Tensor rgb =
        space_.decode(recipe.draw(recipe.generator(), some, /*all_stages=*/false)[0]).to(at::kCPU, at::kFloat);
    for (const at::Tensor& image : rgb.contiguous().unbind(0)) {
      const std::span<const float> planes(image.const_data_ptr<float>(), static_cast<size_t>(image.numel()));
      drawn.push_back(io::from_planes(planes, image.size(0), image.size(1), image.size(2)));
    }
  }
  return drawn;
}

at::Tensor Sampler::render(const models::Style& style) const {
  if (!space_.is_pixels()) fail<UsageError>("this model makes latents: only a generator of pixels can be projected to");
  recipes::Recipe& recipe = *config_->recipe;
  const at::Tensor x = recipe.draw(recipe.generator(), style, /*all_stages=*/false)[0];
  return x.size(1) == 3 ? x : x.expand({-1, 3, -1, -1});
}

std::vector<std::vector<io::Image>> Sampler::draw(std::span<const Item> items) const {
  const at::Tensor all = images(items);
  const int64_t channels = all.size(2), height = all.size(3), width = all.size(4);
  std::vector<std::vector<io::Image>> drawn(items.size());
  for (size_t i = 0; i < items.size(); ++i)
    for (int64_t stage = 0; stage < all.size(0); ++stage) {
      const float* planes = all[stage][static_cast<int64_t>(i)].const_data_ptr<float>();
      const std::span<const float> values(planes, static_cast<size_t>(channels * height * width));
      drawn[i].push_back(io::from_planes(values, channels, height, width));
    }
  if (upsampler_)
    for (size_t i = 0; i < items.size(); ++i) enlarge(drawn[i], items[i]);
  return drawn;
}

void Sampler::enlarge(std::vector<io::Image>& stages, const Item& item) const {
  if (!prompts_.empty()) upsampler_->tell(prompts_.at(static_cast<size_t>(item.label)));
  for (io::Image& image : stages) image = (*upsampler_)(image);
}

}  // namespace gigacat::apply
