// Transforms and products of Winograd convolution: plain float loops, compiled once per instruction set and chosen at
// run time.
#pragma once

#include <cstdint>

namespace gigacat::nn {

inline constexpr int64_t kLanes = 16;  // channels that go side by side
inline constexpr int64_t kRows = 8;    // a product makes this many rows at a time
inline constexpr int64_t kTaps = 9;    // of a 3 x 3 kernel

// A plane H x W in tiles of m x m outputs; each reads (m + 2) x (m + 2) inputs, from one row and column before it.
struct TilePlan {
  int64_t height, width, tiles_y, tiles_x;
};

// Kernels of one mixture: sum_n selection[n] packed[n], n `stride` floats apart.
struct Mixture {
  const float* packed;
  int64_t stride, count;
  const float* selection;
};

// c = a b, or c += a b. A panel is [count, kLanes]. Column panels of b [depth, kLanes] and c [rows, kLanes] lie b_panel
// and c_panel floats apart. a consists of panels too, a_panel apart: with `rows_along` [rows, kLanes of the depth],
// else [depth, kLanes of the rows]. rows are a multiple of kRows, columns of kLanes, and with rows_along the depth is
// one too.
struct Product {
  const float *a, *b;
  float* c;
  bool rows_along;
  int64_t a_panel, b_panel, c_panel;
  int64_t rows, depth, columns;
  bool add;
};

// Letters: p = (m + 2)^2 places of a transformed tile, which lie place_stride floats apart. A panel is [count, kLanes]:
// tiles or channels, and of each kLanes channels of another kind. Planes of kLanes channels [H, W] lie one behind the
// other.
struct WinogradKernels {
  void (*multiply)(const Product& product);
  // Planes, each times scale[l], to a panel of tiles; scratch holds (m + 2) (m tiles_x + 2) kLanes floats.
  void (*input)(const float* planes, const float* scale, const TilePlan& plan, float* tiles, int64_t place_stride,
                float* scratch);
  // Its adjoint: grad planes are set to scale[l] times what reaches them, grad_scale[l] to its product with the planes.
  void (*input_adjoint)(const float* tiles, int64_t place_stride, const float* planes, const float* scale,
                        const TilePlan& plan, float* grad, float* grad_scale, float* scratch);
  // A panel of tiles to planes, each times factor[l].
  void (*output)(const float* tiles, int64_t place_stride, const float* factor, const TilePlan& plan, float* planes);
  void (*output_adjoint)(const float* grad, const float* factor, const TilePlan& plan, float* tiles,
                         int64_t place_stride);
  // Taps of kernels, lane l of row s at kernels[l * lane_stride + s * row_stride], to packed [rows, 9, kLanes]; and
  // back, where they are added.
  void (*pack)(const float* kernels, int64_t lane_stride, int64_t row_stride, int64_t rows, float* packed);
  void (*unpack)(const float* packed, int64_t lane_stride, int64_t row_stride, int64_t rows, float* kernels);
  // A mixture [rows, 9, kLanes] to a panel; energy (may be null) [rows]: squares[l] += sum_s energy[s] sum_k kernel^2.
  void (*kernel)(const Mixture& mixture, int64_t rows, float* panel, int64_t place_stride, const float* energy,
                 float* squares);
  // Gradient of one output's mixture [I / kLanes, 9, kLanes] (set) from panels [outputs, kLanes] that lie panel_stride
  // apart. d is rsqrt(energy + eps), by which the output was multiplied, 0 for none: what the energy hands back to the
  // kernel is added, and grad_energy [I] is added to.
  void (*kernel_adjoint)(const float* grad, int64_t place_stride, int64_t panel_stride, const Mixture& mixture,
                         int64_t blocks, const float* energy, float d, float* grad_mixture, float* grad_energy);
  // grad_packed += selection[n] grad_mixture and grad_selection[n] += <grad_mixture, packed[n]>, of `size` floats.
  void (*mixture_adjoint)(const float* grad_mixture, const Mixture& mixture, int64_t size, float* grad_packed,
                          float* grad_selection);
};

// The fastest set that this CPU has, for tiles of 2 or 4.
const WinogradKernels& winograd_kernels(int64_t m);

}  // namespace gigacat::nn
