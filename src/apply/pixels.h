// Pixels of a tensor as an image.
#pragma once

#include <ATen/ATen.h>

#include "gigacat/io/image.h"

namespace gigacat::apply {

// uint8 [C, H, W] on the CPU -> an image of C channels.
inline io::Image image_of(const at::Tensor& pixels) {
  const at::Tensor rows = pixels.permute({1, 2, 0}).contiguous();  // [H, W, C]
  io::Image image{rows.size(0), rows.size(1), rows.size(2), {}};
  image.pixels.assign(rows.const_data_ptr<uint8_t>(), rows.const_data_ptr<uint8_t>() + rows.numel());
  return image;
}

}  // namespace gigacat::apply
