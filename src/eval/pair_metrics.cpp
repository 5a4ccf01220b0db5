// Letters: C channels, H height, W width.
#include "eval/pair_metrics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "gigacat/core/error.h"

namespace gigacat::eval {
namespace {

constexpr int64_t kWindow = 11;

void check_sizes(const io::Image& a, const io::Image& b) {
  if (a.height == b.height && a.width == b.width && a.channels == b.channels) return;
  fail("images of ", a.width, "x", a.height, " and ", b.width, "x", b.height, " pixels cannot be compared");
}

// [C, 1, H, W], double.
at::Tensor planes_of(const io::Image& image) {
  const at::Tensor pixels =
      at::from_blob(const_cast<uint8_t*>(image.pixels.data()), {image.height, image.width, image.channels}, at::kByte);
  return pixels.permute({2, 0, 1}).unsqueeze(1).to(at::kDouble).contiguous();
}

// Weighted means under the window at all places where it lies inside: along y, then along x.
at::Tensor smoothed(const at::Tensor& planes) {
  constexpr double kDeviation = 1.5;
  const at::Tensor place = at::arange(kWindow, at::kDouble) - static_cast<double>(kWindow / 2);
  at::Tensor weights = (place.square() / (-2 * kDeviation * kDeviation)).exp();
  weights = weights / weights.sum();
  return at::conv2d(at::conv2d(planes, weights.view({1, 1, kWindow, 1})), weights.view({1, 1, 1, kWindow}));
}

}  // namespace

double psnr(const io::Image& a, const io::Image& b) {
  check_sizes(a, b);
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    const double difference = static_cast<double>(a.pixels[i]) - b.pixels[i];
    sum += difference * difference;
  }
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.pixels.size()) / sum);
}

double ssim(const io::Image& a, const io::Image& b) {
  check_sizes(a, b);
  if (std::min(a.height, a.width) < kWindow)
    fail("ssim needs sides of ", kWindow, " pixels at least, not ", a.width, "x", a.height);
  const at::NoGradGuard no_grad;
  constexpr double kFirst = 0.01 * 255 * 0.01 * 255, kSecond = 0.03 * 255 * 0.03 * 255;
  const at::Tensor x = planes_of(a), y = planes_of(b);
  const at::Tensor mx = smoothed(x), my = smoothed(y);
  const at::Tensor vx = smoothed(x * x) - mx * mx, vy = smoothed(y * y) - my * my, vxy = smoothed(x * y) - mx * my;
  const at::Tensor map = (2 * mx * my + kFirst) * (2 * vxy + kSecond) /
                         ((mx * mx + my * my + kFirst) * (vx + vy + kSecond));  // [C, 1, H - 10, W - 10]
  return map.mean().item<double>();
}

}  // namespace gigacat::eval
