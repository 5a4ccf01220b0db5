// Letters as in the header.
#include "gigacat/sample/sampler.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/losses/trajectory.h"
#include "gigacat/nn/image_tensor.h"
#include "gigacat/nn/state.h"

namespace gigacat::sample {
namespace {

// Matrix products of fewer rows take other kernels on a CPU, which round differently.
constexpr int64_t kRows = 8;

// The generator's mode while samples are drawn.
class EvalMode {
 public:
  explicit EvalMode(torch::nn::Module& module) : module_(module), was_training_(module.is_training()) {
    module_.eval();
  }
  ~EvalMode() { module_.train(was_training_); }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  torch::nn::Module& module_;
  bool was_training_;
};

}  // namespace

struct Sampler::File {
  std::unique_ptr<run::RunConfig> config;
  std::unique_ptr<models::Model> model;
  std::unique_ptr<pretrained::LatentSpace> space;
};

Sampler::Sampler(models::Model& model, torch::nn::Module& generator, const pretrained::LatentSpace& space,
                 at::Device device, SamplerOptions options)
    : model_(&model),
      generator_(&generator),
      space_(&space),
      device_(device),
      options_(std::move(options)),
      rows_(device.is_cuda() ? (options_.batch + kRows - 1) / kRows * kRows : kRows) {
  const std::vector<std::string> own = model.prompts();
  if (own.empty() && !options_.prompts.empty())
    fail<UsageError>("--prompt: this model takes no text", model.has_classes() ? ": give --labels" : "");
  if (options_.prompts.empty()) options_.prompts = own;
  conditions_.is_text = !options_.prompts.empty();
  if (conditions_.is_text)
    conditions_.count = std::ssize(options_.prompts);
  else if (model.has_classes())
    conditions_.count = model.shape().num_classes;
}

Sampler Sampler::open(const run::WeightSource& source, const std::vector<std::string>& overrides, at::Device device,
                      SamplerOptions options) {
  auto file = std::make_shared<File>();
  file->config = run::parse_config(read_file(source.config), source.config.string(), overrides);
  const models::ImageShape shape = file->config->image_shape();
  file->space = std::make_unique<pretrained::LatentSpace>(file->config->open_space(device));
  if (file->space->is_pixels() && shape.channels != 1 && shape.channels != 3)
    fail<UsageError>(source.origin.string(), " makes latents of ", shape.channels,
                     " channels, which only their autoencoder turns into images: give autoencoder.kind=... and "
                     "autoencoder.weights=...");
  file->model = file->config->build_model(nn::Init::zeros());
  torch::nn::Module& generator = file->model->generator();
  nn::assign_state(generator, nn::read_tensors(source.weights), source.weights.string(), device, at::kFloat);
  generator.eval();
  Sampler sampler(*file->model, generator, *file->space, device, std::move(options));
  sampler.conditions_.names = source.class_names;
  sampler.trajectory_back_ = file->config->gan.loss->trajectory_back();
  sampler.file_ = std::move(file);
  return sampler;
}

void Sampler::set_upsampler(std::shared_ptr<upsample::Upsampler> upsampler) {
  if (options_.all_stages) fail<UsageError>("--all-stages and --upsampler: an upsampler takes the last stage only");
  upsampler_ = std::move(upsampler);
  scale_ = upsampler_->scale();
}

int64_t Sampler::stages() const {
  if (!options_.all_stages) return 1;
  if (stages_ == 0) stages_ = images(std::vector<SampleSpec>(1), /*all_stages=*/true).size(0);
  return stages_;
}

Sampler::Inputs Sampler::inputs(std::span<const SampleSpec> specs) const {
  std::vector<at::Tensor> latents;
  std::vector<int64_t> labels;
  Inputs made{.options = {.truncation = options_.truncation, .guidance = options_.guidance}};
  for (const SampleSpec& spec : specs) {
    latents.push_back(model_->latents(static_cast<uint64_t>(spec.seed), {spec.index}, device_));
    labels.push_back(options_.prompts.empty() ? spec.label : 0);
    if (!options_.prompts.empty())
      made.options.captions.push_back(options_.prompts.at(static_cast<size_t>(spec.label)));
  }
  made.z = at::cat(latents);
  made.labels = at::tensor(labels, at::kLong).to(device_);
  return made;
}

at::Tensor Sampler::images(std::span<const SampleSpec> specs, bool all_stages) const {
  const at::NoGradGuard no_grad;
  const EvalMode eval(*generator_);
  std::vector<at::Tensor> parts;
  for (size_t first = 0; first < specs.size(); first += static_cast<size_t>(rows_)) {
    const size_t count = std::min(specs.size() - first, static_cast<size_t>(rows_));
    std::vector<SampleSpec> filled(specs.begin() + static_cast<std::ptrdiff_t>(first),
                                   specs.begin() + static_cast<std::ptrdiff_t>(first + count));
    filled.resize(static_cast<size_t>(rows_), filled.back());
    Inputs in = inputs(filled);
    in.options.all_stages = all_stages;
    parts.push_back(model_->sample(*generator_, in.z, in.labels, in.options).narrow(1, 0, static_cast<int64_t>(count)));
  }
  return at::cat(parts, 1);
}

at::Tensor Sampler::generate(std::span<const SampleSpec> specs) const { return images(specs, /*all_stages=*/false)[0]; }

std::vector<std::vector<io::Image>> Sampler::draw(std::span<const SampleSpec> specs) const {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<io::Image>> drawn(specs.size());
  for (const at::Tensor& stage : images(specs, options_.all_stages).unbind(0)) {
    std::vector<io::Image> all = nn::to_images(space_->decode(stage));
    for (size_t i = 0; i < all.size(); ++i) drawn[i].push_back(std::move(all[i]));
  }
  if (!upsampler_) return drawn;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!options_.prompts.empty()) upsampler_->set_prompt(options_.prompts.at(static_cast<size_t>(specs[i].label)));
    for (io::Image& image : drawn[i]) image = (*upsampler_)(image);
  }
  return drawn;
}

std::vector<io::Image> Sampler::draw_last(std::span<const SampleSpec> specs) const {
  std::vector<io::Image> images;
  for (std::vector<io::Image>& stages : draw(specs)) images.push_back(std::move(stages.back()));
  return images;
}

models::Style Sampler::style(std::span<const SampleSpec> specs, double truncation) const {
  Inputs in = inputs(specs);
  in.options.truncation = truncation;
  return model_->style(*generator_, in.z, in.labels, in.options);
}

std::vector<io::Image> Sampler::draw(const models::Style& style) const {
  const at::NoGradGuard no_grad;
  std::vector<io::Image> drawn;
  for (int64_t first = 0; first < style.size(); first += rows_) {
    const int64_t last = std::min(first + rows_, style.size());
    const models::Style some = style.at(at::arange(first, last, at::TensorOptions(device_).dtype(at::kLong)));
    const at::Tensor x = model_->synthesize(*generator_, some, /*all_stages=*/false)[0];
    for (io::Image& image : nn::to_images(space_->decode(x))) drawn.push_back(std::move(image));
  }
  return drawn;
}

at::Tensor Sampler::render(const models::Style& style) const {
  if (!space_->is_pixels())
    fail<UsageError>("this model makes latents: only a generator of pixels can be projected to");
  const at::Tensor x = model_->synthesize(*generator_, style, /*all_stages=*/false)[0];
  return x.size(1) == 3 ? x : x.expand({-1, 3, -1, -1});
}

std::vector<std::pair<std::string, double>> Sampler::trajectory(std::span<const SampleSpec> specs) const {
  const at::Tensor stages = images(specs, /*all_stages=*/true);
  return losses::trajectory_metrics(model_->supervised(stages), stages[stages.size(0) - 1], trajectory_back_);
}

}  // namespace gigacat::sample
