// Position tables of a token grid.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gigacat::nn {

// Fixed 2-D sin-cos table [rows * columns, width], float32: the first half of the channels from the column, the second
// from the row, each [sin | cos], base 10000. width divisible by 4. Source: MAE's pos_embed.
at::Tensor sincos_table(int64_t rows, int64_t columns, int64_t width);

// The sin-cos table of a grid as `owner`'s tensor `name`, [1, rows * columns, width]: a parameter that is trained from
// there on when `kind` is "learned", a buffer when it is "fixed".
at::Tensor register_position(torch::nn::Module& owner, const std::string& name, const std::string& kind, int64_t rows,
                             int64_t columns, int64_t width);

// Rotary angles of a sequence of tokens, [tokens, head_dim] each, float32. `cos` 1 and `sin` 0 leave a token unrotated.
struct Rotary {
  at::Tensor cos, sin;
  // Moves the tables where they are not there yet.
  void to(at::Device device);
};

// Axial rotary embedding of a grid: per axis head_dim / 2 channels with frequencies 10000^(-2i / (head_dim / 2)), each
// twice in place, rows first; `plain` unrotated tokens in front. head_dim divisible by 4. Source: EVA's
// VisionRotaryEmbeddingFast.
Rotary rotary_table(int64_t rows, int64_t columns, int64_t head_dim, int64_t plain = 0);

// Tables of several grids one behind the other.
Rotary concatenate(const std::vector<Rotary>& parts);

}  // namespace gigacat::nn
