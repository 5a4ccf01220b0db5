// Letters: B batch, C channels, H x W image, h x w features.
#include "gigacat/pretrained/lpips.h"

#include <ATen/ATen.h>

#include <span>

#include "gigacat/core/error.h"

namespace gigacat::pretrained {
namespace {

constexpr const char* kLpips = "an LPIPS backbone (VGG16 or AlexNet)";
constexpr double kLpipsEps = 1e-10;
constexpr double kShift[] = {-0.030, -0.088, -0.188}, kScale[] = {0.458, 0.448, 0.450};  // of images in [-1, 1]

// A convolution with its ReLU, perhaps after a max pool; `tap`: LPIPS compares its output.
struct Unit {
  int index;  // in torchvision's `features`
  int64_t in, out, kernel, stride, padding;
  bool pool, tap;
};

constexpr Unit kAlex[] = {{0, 3, 64, 11, 4, 2, false, true},
                          {3, 64, 192, 5, 1, 2, true, true},
                          {6, 192, 384, 3, 1, 1, true, true},
                          {8, 384, 256, 3, 1, 1, false, true},
                          {10, 256, 256, 3, 1, 1, false, true}};
constexpr Unit kVgg[] = {
    {0, 3, 64, 3, 1, 1, false, false},    {2, 64, 64, 3, 1, 1, false, true},    {5, 64, 128, 3, 1, 1, true, false},
    {7, 128, 128, 3, 1, 1, false, true},  {10, 128, 256, 3, 1, 1, true, false}, {12, 256, 256, 3, 1, 1, false, false},
    {14, 256, 256, 3, 1, 1, false, true}, {17, 256, 512, 3, 1, 1, true, false}, {19, 512, 512, 3, 1, 1, false, false},
    {21, 512, 512, 3, 1, 1, false, true}, {24, 512, 512, 3, 1, 1, true, false}, {26, 512, 512, 3, 1, 1, false, false},
    {28, 512, 512, 3, 1, 1, false, true}};

std::span<const Unit> units_of(LpipsNet net) {
  return net == LpipsNet::alex ? std::span<const Unit>(kAlex) : std::span<const Unit>(kVgg);
}

// Each pixel's channels to unit length, [B, C, h, w] of one shape. The root's gradient is not finite at zero: an
// all-zero pixel passes none.
at::Tensor unit_length(const at::Tensor& x) {
  const at::Tensor square = x.square().sum(1, /*keepdim=*/true), zero = square == 0;
  return x / (square.masked_fill(zero, 1).sqrt().masked_fill(zero, 0) + kLpipsEps);
}

at::Tensor per_channel(std::span<const double> values, const at::Tensor& like) {
  return at::tensor(c10::ArrayRef<double>(values.data(), values.size()), like.options()).view({1, -1, 1, 1});
}

}  // namespace

LpipsImpl::LpipsImpl(LpipsNet net) : net_(net) {
  size_t head = 0;
  for (const Unit& unit : units_of(net)) {
    const Conv2dShape shape{unit.in, unit.out, {unit.kernel, unit.kernel}, {unit.padding, unit.padding}, unit.stride};
    convs_.push_back(place(*this, cat("features.", unit.index), Conv2d(shape)));
    if (!unit.tap) continue;
    const Conv2dShape point{.in = unit.out, .out = 1, .kernel = {1, 1}, .padding = {0, 0}, .bias = false};
    heads_[head] = place(*this, cat("lin", head, ".model.1"), Conv2d(point));
    ++head;
  }
}

std::vector<at::Tensor> LpipsImpl::features(const at::Tensor& images) {
  const int64_t window = net_ == LpipsNet::alex ? 3 : 2;
  at::Tensor x = (images - per_channel(kShift, images)) / per_channel(kScale, images);  // [B, 3, H, W]
  std::vector<at::Tensor> taps;
  const auto units = units_of(net_);
  for (size_t i = 0; i < units.size(); ++i) {
    if (units[i].pool) x = at::max_pool2d(x, {window, window}, {2, 2});
    x = convs_[i](x, Activation::relu);
    if (units[i].tap) taps.push_back(x);
  }
  return taps;
}

std::vector<at::Tensor> LpipsImpl::maps(const at::Tensor& first, const at::Tensor& second) {
  GIGACAT_CHECK(first.sizes() == second.sizes(), first.sizes(), " against ", second.sizes());
  const std::vector<at::Tensor> a = features(first), b = features(second);
  std::vector<at::Tensor> maps;
  for (size_t k = 0; k < heads_.size(); ++k)
    maps.push_back(heads_[k]((unit_length(a[k]) - unit_length(b[k])).square()));  // [B, 1, h, w]
  return maps;
}

at::Tensor LpipsImpl::per_layer(const at::Tensor& first, const at::Tensor& second) {
  std::vector<at::Tensor> means;
  for (const at::Tensor& map : maps(first, second)) means.push_back(map.mean({1, 2, 3}));
  return at::stack(means, 1);
}

at::Tensor LpipsImpl::forward(const at::Tensor& first, const at::Tensor& second) {
  return per_layer(first, second).sum(1);
}

at::Tensor LpipsImpl::map(const at::Tensor& first, const at::Tensor& second) {
  at::Tensor sum;
  for (const at::Tensor& map : maps(first, second)) {
    const at::Tensor large = at::upsample_bilinear2d(map, {first.size(2), first.size(3)}, /*align_corners=*/false);
    sum = sum.defined() ? sum + large : large;
  }
  return sum;
}

Lpips load_lpips(const weights::Weights& backbone, const weights::Weights& heads, const weights::LoadOptions& options) {
  const bool vgg = backbone.has("features.28.weight");
  if (!vgg && !backbone.has("features.10.weight"))
    weights::refuse(backbone, kLpips, "it has neither features.28 nor features.10");
  weights::Weights both{{}, backbone.origin};
  for (const auto& [name, tensor] : backbone.tensors)
    if (name.starts_with("features.")) both.tensors[name] = tensor;
  for (int k = 0; k < 5; ++k) {
    const std::string name = cat("lin", k, ".model.1.weight");
    both.tensors[name] = heads.at(name, "the heads of LPIPS");
  }
  Lpips lpips(vgg ? LpipsNet::vgg : LpipsNet::alex);
  weights::assign(*lpips, both, cat("the LPIPS backbone ", vgg ? "VGG16" : "AlexNet", " with heads of ", heads.origin),
                  options);
  return lpips;
}

}  // namespace gigacat::pretrained
