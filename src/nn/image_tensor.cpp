#include "gigacat/nn/image_tensor.h"

#include <ATen/ATen.h>

#include <span>

namespace gigacat::nn {

std::vector<io::Image> to_images(const at::Tensor& images) {
  std::vector<io::Image> made;
  for (const at::Tensor& image : images.detach().to(at::kCPU, at::kFloat).contiguous().unbind(0)) {
    const std::span<const float> planes(image.const_data_ptr<float>(), static_cast<size_t>(image.numel()));
    made.push_back(io::from_planes(planes, image.size(0), image.size(1), image.size(2)));
  }
  return made;
}

io::Image to_image(const at::Tensor& pixels) {
  const at::Tensor rows = pixels.to(at::kCPU).permute({1, 2, 0}).contiguous();  // [H, W, C]
  io::Image image{rows.size(0), rows.size(1), rows.size(2), {}};
  image.pixels.assign(rows.const_data_ptr<uint8_t>(), rows.const_data_ptr<uint8_t>() + rows.numel());
  return image;
}

at::Tensor to_pixels(const io::Image& image) {
  const at::Tensor bytes =
      at::from_blob(const_cast<uint8_t*>(image.pixels.data()), {image.height, image.width, image.channels}, at::kByte);
  return bytes.permute({2, 0, 1}).contiguous().clone();
}

}  // namespace gigacat::nn
