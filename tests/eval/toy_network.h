// A network of one product, and sets of made-up images.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "gigacat/eval/images.h"
#include "gigacat/eval/network.h"

namespace gigacat::eval {

// pool [B, 12], spatial [B, 5] and logits [B, 7] of the image at 4 x 4.
class ToyNetwork : public FeatureNetwork {
 public:
  explicit ToyNetwork(double factor = 1) {
    torch::manual_seed(4);
    weight_ = at::randn({48, 24}) * factor;
  }
  std::string weights() const override { return "toy"; }
  std::array<int64_t, 3> input_shape() const override { return {3, 4, 4}; }
  void prepare(const io::Image& image, int64_t /*index*/, float* planes) const override {
    io::resize_planes(image, io::Resampling::bilinear, 4, 4, {planes, 48});
  }
  FeatureMap run(const at::Tensor& planes) override {
    const at::Tensor all = at::matmul(planes.flatten(1) / 255, weight_);
    return {{"pool", all.narrow(1, 0, 12)}, {"spatial", all.narrow(1, 12, 5)}, {"logits", all.narrow(1, 17, 7)}};
  }

 private:
  at::Tensor weight_;
};

// Image i of a seed: 9 x 7 pixels of noise.
inline io::Image toy_image(int64_t seed, int64_t i) {
  torch::manual_seed(static_cast<uint64_t>(seed * 100003 + i));
  const at::Tensor pixels = at::randint(40 * seed, 200, {9 * 7 * 3}, at::kByte);
  return {9, 7, 3, {pixels.data_ptr<uint8_t>(), pixels.data_ptr<uint8_t>() + pixels.numel()}};
}

inline std::shared_ptr<const ImageSet> toy_images(int64_t seed, int64_t count) {
  return generated_images("toy", count,
                          [seed](int64_t first, int64_t last) {
                            std::vector<io::Image> images;
                            for (int64_t i = first; i < last; ++i) images.push_back(toy_image(seed, i));
                            return images;
                          },
                          {{"truncation", "0.7"}});
}

}  // namespace gigacat::eval
