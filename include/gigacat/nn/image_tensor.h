// Images as tensors, and back.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "gigacat/io/image.h"

namespace gigacat::nn {

// Images [B, C, H, W] in [-1, 1], C 1 or 3, on any device -> B images, rounded to 8 bits.
std::vector<io::Image> to_images(const at::Tensor& images);
// uint8 [C, H, W] -> an image of C channels.
io::Image to_image(const at::Tensor& pixels);
// An image of C channels -> uint8 [C, H, W] on the CPU, a copy.
at::Tensor to_pixels(const io::Image& image);

}  // namespace gigacat::nn
