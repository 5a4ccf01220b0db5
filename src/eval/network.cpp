// Letters: B images, S side.
#include "gigacat/eval/network.h"

#include <algorithm>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/random.h"

namespace gigacat::eval {
namespace {

constexpr int64_t kSide = 299, kPlanes = 3 * kSide * kSide;

// x * factor + shift of all values.
void scale(float* planes, float factor, float shift) {
  for (int64_t i = 0; i < kPlanes; ++i) planes[i] = planes[i] * factor + shift;
}

// (x - 128) / 128 and 2 x / 255 - 1.
void center_at_128(float* planes) { scale(planes, 1.0f / 128, -1); }
void stretch_to_one(float* planes) { scale(planes, 2.0f / 255, -1); }

void resize(const io::Image& image, io::Resampling method, float* planes) {
  io::resize_planes(image, method, kSide, kSide, {planes, static_cast<size_t>(kPlanes)});
}

// The place of the crop depends only on the image's number.
io::Image random_crop(const io::Image& image, int64_t index) {
  if (image.height < kSide || image.width < kSide)
    fail("an image of ", image.width, "x", image.height, " pixels is smaller than a patch of ", kSide);
  const Stream places(0, "eval.patch");
  int64_t y = 0, x = 0;
  places.integers(0, static_cast<uint64_t>(index), 0, image.height - kSide, {&y, 1});
  places.integers(1, static_cast<uint64_t>(index), 0, image.width - kSide, {&x, 1});
  return io::crop(image, y, x, kSide, kSide);
}

io::Image gigagan_size(const io::Image& image) {
  constexpr int64_t kEvaluated = 256;
  if (image.height == kEvaluated && image.width == kEvaluated) return image;
  return io::resize_lanczos(io::crop_square(image, /*half_to_even=*/true), kEvaluated, kEvaluated);
}

}  // namespace

at::Tensor FeatureNetwork::read(const std::vector<std::string>& /*texts*/) {
  fail<UsageError>("this network reads no text");
}

const std::vector<std::string>& protocol_names() {
  static const std::vector<std::string> names = {"adm", "legacy", "clean", "gigagan"};
  return names;
}

void prepare_inception(const std::string& protocol, const io::Image& image, int64_t index, float* planes) {
  if (protocol == "legacy") {
    resize(image, io::Resampling::bilinear, planes);
    return stretch_to_one(planes);
  }
  if (protocol == "adm") {
    resize(image, io::Resampling::tf1_bilinear, planes);
  } else if (protocol == "clean") {
    resize(image, io::Resampling::bicubic, planes);
  } else if (protocol == "gigagan") {
    resize(gigagan_size(image), io::Resampling::bicubic, planes);
  } else if (protocol == "patch") {
    resize(random_crop(image, index), io::Resampling::tf1_bilinear, planes);
  } else {
    fail<InternalError>("protocol ", protocol);
  }
  center_at_128(planes);
}

}  // namespace gigacat::eval
