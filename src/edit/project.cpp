#include "gigacat/edit/project.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <optional>
#include <utility>

#include "edit/style_file.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/progress.h"
#include "gigacat/core/random.h"
#include "gigacat/core/text.h"
#include "gigacat/io/image.h"
#include "gigacat/nn/image_tensor.h"
#include "gigacat/nn/state.h"
#include "gigacat/pretrained/lpips.h"
#include "gigacat/sample/class_list.h"
#include "gigacat/sample/image_texts.h"
#include "gigacat/sample/sample.h"
#include "gigacat/sample/sampler.h"

// Letters: n layers that are told apart (or 1), V style width, H x W pixels.
namespace gigacat::edit {
namespace {

using models::Style;

constexpr int64_t kSpreadSamples = 64;      // styles that the deviation is taken from
constexpr double kNoise = 0.05;             // first strength of the noise on w, in deviations
constexpr double kNoiseEnd = 0.75;          // share of the steps with noise
constexpr int64_t kLeastForLpips = 64;      // px
constexpr double kEdges = 1, kLpips = 0.1;  // weights beside the pixels'

at::Tensor read_target(const fs::path& file, int64_t height, int64_t width, at::Device device) {
  const std::string bytes = read_file(file);
  const io::Image image = io::decode_image(std::as_bytes(std::span(bytes.data(), bytes.size())), file.string());
  const io::Image fitted =
      height == width ? io::center_crop_adm(image, height) : io::resize_bicubic(image, height, width);
  return nn::to_pixels(fitted).unsqueeze(0).to(device, at::kFloat) / 127.5 - 1;
}

// Pixels at three scales and their differences to the right and below, and LPIPS.
class Distance {
 public:
  Distance(at::Tensor target, const std::string& lpips) : target_(std::move(target)) {
    if (lpips.empty()) return;
    const auto files = weights::weight_files(lpips);
    if (files.size() != 2)
      fail<UsageError>("--lpips: give the weights of the backbone and of the heads, as alexnet,lpips-alex");
    const weights::Weights first = weights::read_weights(files[0]), second = weights::read_weights(files[1]);
    const bool heads_first = first.has("lin0.model.1.weight");
    lpips_ = pretrained::load_lpips(heads_first ? second : first, heads_first ? first : second,
                                    {.device = target_.device()});
  }

  at::Tensor operator()(const at::Tensor& image) {
    at::Tensor a = image, b = target_, sum;
    for (int scale = 0; scale < 3 && a.size(2) >= 4; ++scale) {
      if (scale > 0) a = at::avg_pool2d(a, 2), b = at::avg_pool2d(b, 2);
      const at::Tensor gap = a - b;
      at::Tensor part = gap.square().mean();
      for (const int64_t side : {2, 3}) part = part + kEdges * gap.diff(1, side).square().mean();
      sum = sum.defined() ? sum + part : part;
    }
    return lpips_.is_empty() ? sum : sum + kLpips * lpips_->forward(large(image), large(target_)).mean();
  }

 private:
  static at::Tensor large(const at::Tensor& x) {
    const int64_t side = std::min(x.size(2), x.size(3));
    if (side >= kLeastForLpips) return x;
    const int64_t factor = (kLeastForLpips + side - 1) / side;
    return at::upsample_bilinear2d(x, {x.size(2) * factor, x.size(3) * factor}, /*align_corners=*/false);
  }
  at::Tensor target_;
  pretrained::Lpips lpips_{nullptr};
};

class Projection {
 public:
  Projection(const ProjectRequest& request, const run::WeightSource& source, at::Device device)
      : request_(request),
        sampler_(sample::Sampler::open(source, request.overrides, device, {.prompts = prompts(request)})),
        target_(read_target(request.image, sampler_.height(), sampler_.width(), device)),
        distance_(target_, request.lpips) {
    const int64_t label = label_of(request, sampler_);
    mean_ = style_of({{0, 0, label}}, 0);
    std::vector<sample::SampleSpec> specs;
    for (int64_t i = 0; i < kSpreadSamples; ++i) specs.push_back({request.seed, i, label});
    deviation_ = (style_of(specs, 1).w - mean_.w).square().mean().sqrt().item<double>();
    if (!request.each_layer) return;
    const int64_t layers = sampler_.style_layers();
    mean_.w = mean_.w.expand({1, layers, -1}).contiguous();
  }

  Style run(ProjectReport& report) {
    at::Tensor w = mean_.w.detach().clone().requires_grad_(true);  // [1, n, V]
    at::Tensor mean = at::zeros_like(w), square = at::zeros_like(w);
    report.first = distance_of(w);
    Progress progress("projecting", "step", request_.steps);
    for (int64_t t = 0; t < request_.steps; ++t) {
      const at::Tensor loss = distance_(sampler_.render(with(w + noise(t, w))));
      const at::Tensor grad = torch::autograd::grad({loss}, {w})[0];
      const at::NoGradGuard no_grad;
      mean.mul_(0.9).add_(grad, 0.1);
      square.mul_(0.999).addcmul_(grad, grad, 0.001);
      const double n = static_cast<double>(t + 1);
      const at::Tensor step = mean / (1 - std::pow(0.9, n)) / ((square / (1 - std::pow(0.999, n))).sqrt() + 1e-8);
      w.sub_(step * (request_.lr * deviation_ * rate(t)));
      progress.update(t + 1, note(loss));
    }
    progress.finish();
    report.last = distance_of(w);
    return with(w.detach());
  }

  // The image beside what was found for it.
  io::Image picture(const Style& style) const {
    const at::NoGradGuard no_grad;
    const at::Tensor both = at::cat({target_, sampler_.render(style)}, 3)[0];
    return nn::to_image(((both + 1) * 127.5).round().clamp(0, 255).to(at::kByte));
  }

 private:
  static int64_t label_of(const ProjectRequest& request, const sample::Sampler& sampler) {
    if (request.label.empty()) return 0;
    if (!request.prompt.empty()) fail<UsageError>("--class and --prompt: give one of them");
    const std::vector<int64_t> labels = sample::parse_classes(request.label, "--class", sampler.conditions());
    if (labels.size() != 1) fail<UsageError>("--class: give one class, not ", labels.size());
    return labels[0];
  }
  static std::vector<std::string> prompts(const ProjectRequest& request) {
    return request.prompt.empty() ? std::vector<std::string>() : std::vector<std::string>{request.prompt};
  }
  Style style_of(const std::vector<sample::SampleSpec>& specs, double psi) const { return sampler_.style(specs, psi); }
  Style with(const at::Tensor& w) const { return {w, mean_.text, mean_.mask}; }
  double distance_of(const at::Tensor& w) {
    const at::NoGradGuard no_grad;
    return distance_(sampler_.render(with(w))).item<double>();
  }
  double progress_of(int64_t t) const { return static_cast<double>(t) / static_cast<double>(request_.steps); }
  // Up over the first twentieth, down over the last quarter.
  double rate(int64_t t) const {
    const double up = std::min(1.0, (progress_of(t) + 1e-3) / 0.05), left = std::min(1.0, (1 - progress_of(t)) / 0.25);
    return up * (0.5 - 0.5 * std::cos(left * std::numbers::pi));
  }
  at::Tensor noise(int64_t t, const at::Tensor& w) const {
    const double strength = std::max(0.0, 1 - progress_of(t) / kNoiseEnd);
    at::Tensor values = at::empty(w.sizes(), at::kFloat);
    Stream(static_cast<uint64_t>(request_.seed), "project.noise")
        .normal(static_cast<uint64_t>(t), 0, {values.data_ptr<float>(), static_cast<size_t>(values.numel())});
    return values.to(w.device()) * (kNoise * deviation_ * strength * strength);
  }
  static std::string note(const at::Tensor& loss) {
    char text[32];
    std::snprintf(text, sizeof(text), "distance %.4f", loss.item<double>());
    return text;
  }

  const ProjectRequest& request_;
  sample::Sampler sampler_;
  at::Tensor target_;
  Distance distance_;
  Style mean_;
  double deviation_ = 1;
};

}  // namespace

void write_style(const fs::path& file, const Style& style, const std::map<std::string, std::string>& about) {
  nn::TensorMap tensors{{"w", style.w.to(at::kCPU).contiguous()}};
  if (style.text.defined()) {
    tensors["text"] = style.text.to(at::kCPU).contiguous();
    tensors["mask"] = style.mask.to(at::kCPU).contiguous();
  }
  nn::write_tensors(file, tensors, about);
}

Style read_style(const fs::path& file, at::Device device) {
  const nn::TensorMap tensors = nn::read_tensors(file);
  Style style;
  const auto take = [&](const char* name, int64_t dimensions, at::Tensor& to) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) return;
    if (found->second.dim() != dimensions || found->second.size(0) != 1)
      fail(file.string(), ": ", name, " is ", cat(found->second.sizes()), ", which is not one sample's style");
    to = found->second.to(device);
  };
  take("w", 3, style.w);
  take("text", 4, style.text);
  take("mask", 3, style.mask);
  if (!style.w.defined()) fail(file.string(), " holds no style (w): make one with gigacat edit project");
  return style;
}

ProjectReport project(const ProjectRequest& request, at::Device device) {
  const auto began = std::chrono::steady_clock::now();
  if (request.out.extension() != ".safetensors")
    fail<UsageError>("-o: give a .safetensors, not ", request.out.string());
  const run::WeightSource source = run::find_weights(request.from, request.weights);
  Projection projection(request, source, device);
  ProjectReport report{.checkpoint = source.origin.string()};
  const Style found = projection.run(report);
  write_style(request.out, found,
              {{"image", request.image.filename().string()},
               {"prompt", request.prompt},
               {"distance", cat(report.last)},
               {"steps", cat(request.steps)}});
  fs::path picture = request.out;
  io::PngTexts texts = {{"image", request.image.filename().string()}, {"seed", cat(request.seed)}};
  if (!request.prompt.empty()) texts.emplace_back("prompt", request.prompt);
  if (!request.label.empty()) texts.emplace_back("class", request.label);
  sample::add_origin(texts, source);
  write_atomically(picture.replace_extension(".found.png"), io::encode_png(projection.picture(found), texts));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return report;
}

}  // namespace gigacat::edit
