#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include <algorithm>

#include "image_helpers.h"

namespace gigacat::io {
namespace {

class Resize : public ::testing::Test {
 protected:
  Image output(const std::string& name) const { return image_of(file_.at("output." + name)); }

  const SafetensorsFile file_{golden("cases/eval/resize/data.safetensors")};
  const Image photo_ = image_of(file_.at("input.photo"));
};

// The case allows 1; the method is PIL's own, so nothing is left.
TEST_F(Resize, RoundedResizingEqualsPil) {
  int cases = 0;
  for (const auto& [prefix, resize] :
       {std::pair("output.pil_bicubic_u8_", &resize_bicubic), std::pair("output.pil_lanczos_u8_", &resize_lanczos)}) {
    for (const auto& item : file_.tensors()) {
      if (!item.first.starts_with(prefix)) continue;
      const Image expected = image_of(item.second);
      EXPECT_EQ(largest_difference(resize(photo_, expected.height, expected.width), expected), 0) << item.first;
      ++cases;
    }
  }
  EXPECT_EQ(cases, 6);
}

// Largest difference of planes [3, H, W] from a stored float image [h, w, 3] at every `stride`-th place.
double difference(const std::vector<float>& planes, int64_t height, int64_t width, const TensorView& view,
                  int64_t stride) {
  const auto* expected = reinterpret_cast<const float*>(view.bytes.data());
  double largest = 0;
  for (int64_t y = 0; y < view.shape[0]; ++y)
    for (int64_t x = 0; x < view.shape[1]; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        const float value = planes[static_cast<size_t>((c * height + y * stride) * width + x * stride)];
        largest = std::max<double>(largest, std::abs(value - expected[(y * view.shape[1] + x) * 3 + c]));
      }
  return largest;
}

// The case allows 0.01 on the scale of 0..255.
TEST_F(Resize, FloatResizingEqualsTheEvaluators) {
  const std::map<std::string, Resampling> methods = {{"clean", Resampling::bicubic},
                                                     {"lanczos_float", Resampling::lanczos},
                                                     {"box_float", Resampling::box},
                                                     {"legacy_pytorch", Resampling::bilinear},
                                                     {"tf1_bilinear", Resampling::tf1_bilinear}};
  int cases = 0;
  for (const auto& [method, resampling] : methods)
    for (const auto& [name, view] : file_.tensors()) {
      if (!name.starts_with(cat("output.", method, "_"))) continue;
      const bool sparse = name.ends_with("_299_stride4");
      const int64_t height = sparse ? 299 : view.shape[0], width = sparse ? 299 : view.shape[1];
      std::vector<float> planes(static_cast<size_t>(3 * height * width));
      resize_planes(photo_, resampling, height, width, planes);
      EXPECT_LT(difference(planes, height, width, view, sparse ? 4 : 1), 0.005) << name;
      ++cases;
    }
  EXPECT_EQ(cases, 18);
}

TEST_F(Resize, GreyGivesThreeEqualPlanes) {
  Image grey{photo_.height, photo_.width, 1, {}};
  for (size_t i = 0; i < photo_.pixels.size(); i += 3) grey.pixels.push_back(photo_.pixels[i]);
  std::vector<float> one(3 * 40 * 50), three(one.size());
  resize_planes(grey, Resampling::bicubic, 40, 50, one);
  resize_planes(photo_, Resampling::bicubic, 40, 50, three);
  for (size_t i = 0; i < one.size(); ++i) ASSERT_EQ(one[i], three[i % 2000]);
  EXPECT_THROW(resize_planes(photo_, Resampling::box, 40, 50, std::span(one).first(100)), InternalError);
}

TEST_F(Resize, LongEdgeIsCutAsTorchvisionAndStyleganDo) {
  const Image photo = crop(photo_, 0, 0, photo_.height, photo_.width - 9);
  EXPECT_LE(largest_difference(resize_lanczos(crop_square(photo, true), 32, 32), output("long_edge_torchvision_u8_32")),
            0);
  EXPECT_LE(largest_difference(resize_lanczos(crop_square(photo, false), 32, 32), output("long_edge_stylegan_u8_32")),
            0);
}

TEST_F(Resize, CentreCropEqualsGuidedDiffusion) {
  for (int64_t size : {32, 64, 100}) {
    EXPECT_EQ(largest_difference(center_crop_adm(photo_, size), output(cat("adm_center_crop_u8_", size))), 0) << size;
  }
}

TEST_F(Resize, SameSizeIsTheImage) {
  EXPECT_EQ(resize_bicubic(photo_, photo_.height, photo_.width).pixels, photo_.pixels);
  EXPECT_EQ(center_crop_adm(crop(photo_, 0, 0, 64, 64), 64).pixels, crop(photo_, 0, 0, 64, 64).pixels);
}

// Channels do not mix, and each number of channels takes its own path.
TEST_F(Resize, ChannelsAreIndependent) {
  Image grey{photo_.height, photo_.width, 1, {}}, four{photo_.height, photo_.width, 4, {}};
  for (size_t i = 0; i < photo_.pixels.size(); i += 3) {
    grey.pixels.push_back(photo_.pixels[i + 1]);
    four.pixels.insert(four.pixels.end(),
                       {photo_.pixels[i], photo_.pixels[i + 1], photo_.pixels[i + 2], photo_.pixels[i + 1]});
  }
  const Image three = resize_bicubic(photo_, 33, 47), one = resize_bicubic(grey, 33, 47),
              all = resize_bicubic(four, 33, 47);
  for (size_t i = 0; i < one.pixels.size(); ++i) {
    ASSERT_EQ(one.pixels[i], three.pixels[3 * i + 1]);
    for (size_t c = 0; c < 4; ++c) ASSERT_EQ(all.pixels[4 * i + c], three.pixels[3 * i + c % 3 + (c == 3)]);
  }
}

TEST(ResizeOdd, FlatImagesStayFlat) {
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 300}, {7, 5}, {255, 3}}) {
    const Image flat{height, width, 3, std::vector<uint8_t>(static_cast<size_t>(height * width * 3), 201)};
    for (int64_t size : {1, 2, 31, 64}) {
      const Image out = center_crop_adm(flat, size);
      EXPECT_EQ(out.height, size);
      EXPECT_EQ(out.width, size);
      EXPECT_THAT(out.pixels, ::testing::Each(201)) << height << "x" << width << " to " << size;
    }
  }
}

TEST(ResizeOdd, CropIsTheMiddleOfTheWhole) {
  const Image image = gradient(50, 83, 3);
  const Image whole = resize_bicubic(image, 40, 66);
  EXPECT_EQ(center_crop_adm(image, 40).pixels, crop(whole, 0, 13, 40, 40).pixels);
}

// A strip that would be 256 x 25,600,000 when resized whole.
TEST(ResizeOdd, StripsCostNoMemory) {
  const Image strip{1, 100000, 3, std::vector<uint8_t>(300000, 7)};
  EXPECT_EQ(center_crop_adm(strip, 256).pixels.size(), 256u * 256 * 3);
}

TEST(ResizeOdd, MisuseIsAnInternalError) {
  const Image image = gradient(4, 4, 3);
  EXPECT_THROW(resize_bicubic(image, 0, 4), InternalError);
  EXPECT_THROW(center_crop_adm(image, 0), InternalError);
  EXPECT_THROW(resize_bicubic(Image{}, 4, 4), InternalError);
  EXPECT_THROW(resize_bicubic(Image{1, 1, 2, {1, 2}}, 4, 4), InternalError);
}

}  // namespace
}  // namespace gigacat::io
