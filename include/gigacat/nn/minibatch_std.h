// Minibatch standard deviation: how much samples of a batch differ, as further channels of each.
// Source: ProGAN; StyleGAN2's grouping.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace gigacat::nn {

// Groups of g = min(group, N) samples that follow each other, so that a part of a batch that holds whole groups gives
// what the batch gives. (StyleGAN2's are strided: n, n + N / g, ...) Each group's deviation sqrt(variance +
// 1e-8) is averaged over C / channels channels and all pixels. x [N, C, H, W] -> [N, C + channels, H, W]. Errors:
// InternalError when g does not divide N or `channels` does not divide C.
at::Tensor minibatch_std(const at::Tensor& x, int64_t group = 4, int64_t channels = 1);

}  // namespace gigacat::nn
