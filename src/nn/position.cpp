#include "gigacat/nn/position.h"

#include <ATen/Functions.h>

#include <cmath>

#include "gigacat/core/error.h"

namespace gigacat::nn {
namespace {

// positions [n] double -> [n, width]: sin of all frequencies, then cos of all.
at::Tensor sincos_axis(const at::Tensor& positions, int64_t width) {
  const at::Tensor exponents = at::arange(width / 2, at::kDouble) / (static_cast<double>(width) / 2);
  const at::Tensor angles = at::outer(positions, at::pow(10000.0, -exponents));
  return at::cat({angles.sin(), angles.cos()}, 1);
}

// Row and column of each token of a grid, row-major, as doubles [rows * columns].
std::pair<at::Tensor, at::Tensor> grid_positions(int64_t rows, int64_t columns) {
  const at::Tensor row = at::arange(rows, at::kDouble).repeat_interleave(columns);
  const at::Tensor column = at::arange(columns, at::kDouble).repeat({rows});
  return {row, column};
}

// Angles of one axis, each frequency twice in place: positions [n] -> [n, width].
at::Tensor rotary_axis(const at::Tensor& positions, int64_t width) {
  const at::Tensor exponents = at::arange(0, width, 2, at::kDouble) / static_cast<double>(width);
  return at::outer(positions, at::pow(10000.0, -exponents)).repeat_interleave(2, 1);
}

}  // namespace

at::Tensor sincos_table(int64_t rows, int64_t columns, int64_t width) {
  GIGACAT_CHECK(width % 4 == 0, "width ", width);
  const auto [row, column] = grid_positions(rows, columns);
  return at::cat({sincos_axis(column, width / 2), sincos_axis(row, width / 2)}, 1).to(at::kFloat);
}

at::Tensor register_position(torch::nn::Module& owner, const std::string& name, const std::string& kind, int64_t rows,
                             int64_t columns, int64_t width) {
  const at::Tensor table = sincos_table(rows, columns, width).unsqueeze(0);
  return kind == "learned" ? owner.register_parameter(name, table) : owner.register_buffer(name, table);
}

void Rotary::to(at::Device device) {
  cos = cos.to(device);
  sin = sin.to(device);
}

Rotary rotary_table(int64_t rows, int64_t columns, int64_t head_dim, int64_t plain) {
  GIGACAT_CHECK(head_dim % 4 == 0, "head width ", head_dim);
  const auto [row, column] = grid_positions(rows, columns);
  const at::Tensor angles = at::cat({at::zeros({plain, head_dim}, at::kDouble),
                                     at::cat({rotary_axis(row, head_dim / 2), rotary_axis(column, head_dim / 2)}, 1)});
  return {angles.cos().to(at::kFloat), angles.sin().to(at::kFloat)};
}

Rotary concatenate(const std::vector<Rotary>& parts) {
  std::vector<at::Tensor> cos, sin;
  for (const Rotary& part : parts) {
    cos.push_back(part.cos);
    sin.push_back(part.sin);
  }
  return {at::cat(cos), at::cat(sin)};
}

}  // namespace gigacat::nn
