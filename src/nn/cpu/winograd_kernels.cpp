// Compiled once per instruction set (see CMakeLists.txt): GIGACAT_ISA names the set. No header with inline functions is
// included: their code for one set must not be linked into a program that runs on another.
//
// F(m x m, 3 x 3) with the points 0, 1, -1 (and 2, -2 for m = 4), and infinity. Source: Lavin and Gray, "Fast
// Algorithms for Convolutional Neural Networks" (arXiv 1509.09308).
#include "nn/cpu/winograd_kernels.h"

namespace gigacat::nn {
namespace {

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

template <int R, int C>
struct Matrix {
  static constexpr int rows = R, columns = C;
  float v[R][C];
};

template <int R, int C>
constexpr Matrix<C, R> transposed(const Matrix<R, C>& from) {
  Matrix<C, R> to{};
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) to.v[c][r] = from.v[r][c];
  return to;
}

// V = B^T d B, U = G K G^T, Y = A^T M A.
template <int M>
struct Forms;

template <>
struct Forms<2> {
  static constexpr Matrix<4, 4> input{{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}};
  static constexpr Matrix<4, 3> kernel{{{1, 0, 0}, {0.5F, 0.5F, 0.5F}, {0.5F, -0.5F, 0.5F}, {0, 0, 1}}};
  static constexpr Matrix<2, 4> output{{{1, 1, 1, 0}, {0, 1, -1, -1}}};
};

template <>
struct Forms<4> {
  static constexpr Matrix<6, 6> input{{{4, 0, -5, 0, 1, 0},
                                       {0, -4, -4, 1, 1, 0},
                                       {0, 4, -4, -1, 1, 0},
                                       {0, -2, -1, 2, 1, 0},
                                       {0, 2, -1, -2, 1, 0},
                                       {0, 4, 0, -5, 0, 1}}};
  static constexpr Matrix<6, 3> kernel{{{1 / 4.F, 0, 0},
                                        {-1 / 6.F, -1 / 6.F, -1 / 6.F},
                                        {-1 / 6.F, 1 / 6.F, -1 / 6.F},
                                        {1 / 24.F, 1 / 12.F, 1 / 6.F},
                                        {1 / 24.F, -1 / 12.F, 1 / 6.F},
                                        {0, 0, 1}}};
  static constexpr Matrix<4, 6> output{
      {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}};
};

template <int M>
struct Adjoints {
  static constexpr auto input = transposed(Forms<M>::input);
  static constexpr auto kernel = transposed(Forms<M>::kernel);
  static constexpr auto output = transposed(Forms<M>::output);
};

// sum_c row[c] in[c * step], zeros left out when unrolled.
template <int C>
[[gnu::always_inline]] inline void combine(const float (&row)[C], const Lanes* in, int step, Lanes& out) {
  Lanes sum = {};
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c)
    if (row[c] != 0) sum += row[c] * in[c * step];
  out = sum;
}

// out [R, R] = F in [C, C] F^T.
template <const auto& F>
[[gnu::always_inline]] inline void sandwich(const Lanes* in, Lanes* out) {
  constexpr int rows = F.rows, columns = F.columns;
  Lanes half[rows * columns];
#pragma GCC unroll 6
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 6
    for (int c = 0; c < columns; ++c) combine(F.v[r], in + c, columns, half[r * columns + c]);
#pragma GCC unroll 6
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 6
    for (int s = 0; s < rows; ++s) combine(F.v[s], half + r * columns, 1, out[r * rows + s]);
}

template <int N>
void store(const Lanes* from, float* to, int64_t stride) {
  for (int p = 0; p < N; ++p) *reinterpret_cast<Lanes*>(to + p * stride) = from[p];
}

template <int N>
void load(const float* from, int64_t stride, Lanes* to) {
  for (int p = 0; p < N; ++p) to[p] = *reinterpret_cast<const Lanes*>(from + p * stride);
}

// Row y of the planes into cells [m tiles_x + 2], the first a column before the image; zeros outside.
void read_row(const float* planes, const float* scale, const TilePlan& plan, int64_t y, int64_t cells, float* row) {
  const int64_t plane = plan.height * plan.width, inside = plan.width < cells - 1 ? plan.width : cells - 1;
  if (y < 0 || y >= plan.height) {
    for (int64_t i = 0; i < cells * kLanes; ++i) row[i] = 0;
    return;
  }
  for (int64_t l = 0; l < kLanes; ++l) {
    const float* const from = planes + l * plane + y * plan.width;
    row[l] = 0;
    for (int64_t x = 0; x < inside; ++x) row[(x + 1) * kLanes + l] = from[x] * scale[l];
    for (int64_t x = inside + 1; x < cells; ++x) row[x * kLanes + l] = 0;
  }
}

template <int M>
void input(const float* planes, const float* scale, const TilePlan& plan, float* tiles, int64_t place_stride,
           float* scratch) {
  constexpr int n = M + 2;
  const int64_t cells = M * plan.tiles_x + 2, row = cells * kLanes;
  Lanes seen[n * n], made[n * n];
  for (int64_t ty = 0; ty < plan.tiles_y; ++ty) {
    for (int64_t r = 0; r < 2 * row && ty > 0; ++r) scratch[r] = scratch[M * row + r];  // rows that the tiles share
    for (int64_t r = ty > 0 ? 2 : 0; r < n; ++r)
      read_row(planes, scale, plan, ty * M - 1 + r, cells, scratch + r * row);
    for (int64_t tx = 0; tx < plan.tiles_x; ++tx) {
      for (int r = 0; r < n; ++r) load<n>(scratch + r * row + tx * M * kLanes, kLanes, seen + r * n);
      sandwich<Forms<M>::input>(seen, made);
      store<n * n>(made, tiles + (ty * plan.tiles_x + tx) * kLanes, place_stride);
    }
  }
}

// Rows [first, last) of the cells, which are complete, to the image.
void write_rows(const float* scratch, int64_t cells, int64_t y, int64_t rows, const float* planes, const float* scale,
                const TilePlan& plan, float* grad, float* grad_scale) {
  const int64_t plane = plan.height * plan.width, inside = plan.width < cells - 1 ? plan.width : cells - 1;
  for (int64_t r = 0; r < rows; ++r) {
    if (y + r < 0 || y + r >= plan.height) continue;
    for (int64_t l = 0; l < kLanes; ++l) {
      const int64_t at = l * plane + (y + r) * plan.width;
      const float* const from = scratch + r * cells * kLanes + kLanes + l;
      float sum = 0;
      for (int64_t x = 0; x < inside; ++x) {
        const float value = from[x * kLanes];
        sum += value * planes[at + x];
        grad[at + x] = value * scale[l];
      }
      grad_scale[l] += sum;
    }
  }
}

template <int M>
void input_adjoint(const float* tiles, int64_t place_stride, const float* planes, const float* scale,
                   const TilePlan& plan, float* grad, float* grad_scale, float* scratch) {
  constexpr int n = M + 2;
  const int64_t cells = M * plan.tiles_x + 2, row = cells * kLanes;
  Lanes seen[n * n], made[n * n];
  for (int64_t i = 0; i < n * row; ++i) scratch[i] = 0;
  for (int64_t l = 0; l < kLanes; ++l) grad_scale[l] = 0;
  for (int64_t ty = 0; ty < plan.tiles_y; ++ty) {
    for (int64_t tx = 0; tx < plan.tiles_x; ++tx) {
      load<n * n>(tiles + (ty * plan.tiles_x + tx) * kLanes, place_stride, seen);
      sandwich<Adjoints<M>::input>(seen, made);
      for (int r = 0; r < n; ++r)
        for (int c = 0; c < n; ++c)
          *reinterpret_cast<Lanes*>(scratch + r * row + (tx * M + c) * kLanes) += made[r * n + c];
    }
    write_rows(scratch, cells, ty * M - 1, M, planes, scale, plan, grad, grad_scale);
    for (int64_t i = 0; i < 2 * row; ++i) scratch[i] = scratch[M * row + i];
    for (int64_t i = 2 * row; i < n * row; ++i) scratch[i] = 0;
  }
  write_rows(scratch, cells, plan.tiles_y * M - 1, 1, planes, scale, plan, grad, grad_scale);
}

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

template <int M>
void output(const float* tiles, int64_t place_stride, const float* factor, const TilePlan& plan, float* planes) {
  constexpr int n = M + 2;
  const int64_t plane = plan.height * plan.width;
  const Lanes times = *reinterpret_cast<const Lanes*>(factor);
  Lanes seen[n * n], made[M * M];
  for (int64_t ty = 0; ty < plan.tiles_y; ++ty)
    for (int64_t tx = 0; tx < plan.tiles_x; ++tx) {
      load<n * n>(tiles + (ty * plan.tiles_x + tx) * kLanes, place_stride, seen);
      sandwich<Forms<M>::output>(seen, made);
      for (Lanes& value : made) value *= times;
      const int64_t rows = least(M, plan.height - ty * M), columns = least(M, plan.width - tx * M);
      for (int64_t l = 0; l < kLanes; ++l)
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < columns; ++c)
            planes[l * plane + (ty * M + r) * plan.width + tx * M + c] = made[r * M + c][l];
    }
}

template <int M>
void output_adjoint(const float* grad, const float* factor, const TilePlan& plan, float* tiles, int64_t place_stride) {
  constexpr int n = M + 2;
  const int64_t plane = plan.height * plan.width;
  const Lanes times = *reinterpret_cast<const Lanes*>(factor);
  Lanes seen[M * M], made[n * n];
  for (int64_t ty = 0; ty < plan.tiles_y; ++ty)
    for (int64_t tx = 0; tx < plan.tiles_x; ++tx) {
      const int64_t rows = least(M, plan.height - ty * M), columns = least(M, plan.width - tx * M);
      for (Lanes& value : seen) value = Lanes{};
      for (int64_t l = 0; l < kLanes; ++l)
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < columns; ++c)
            seen[r * M + c][l] = grad[l * plane + (ty * M + r) * plan.width + tx * M + c];
      for (Lanes& value : seen) value *= times;
      sandwich<Adjoints<M>::output>(seen, made);
      store<n * n>(made, tiles + (ty * plan.tiles_x + tx) * kLanes, place_stride);
    }
}

void pack(const float* kernels, int64_t lane_stride, int64_t row_stride, int64_t rows, float* packed) {
  for (int64_t s = 0; s < rows; ++s)
    for (int64_t l = 0; l < kLanes; ++l)
      for (int64_t k = 0; k < kTaps; ++k)
        packed[(s * kTaps + k) * kLanes + l] = kernels[l * lane_stride + s * row_stride + k];
}

void unpack(const float* packed, int64_t lane_stride, int64_t row_stride, int64_t rows, float* kernels) {
  for (int64_t s = 0; s < rows; ++s)
    for (int64_t l = 0; l < kLanes; ++l)
      for (int64_t k = 0; k < kTaps; ++k)
        kernels[l * lane_stride + s * row_stride + k] += packed[(s * kTaps + k) * kLanes + l];
}

// Row s of the mixture.
[[gnu::always_inline]] inline void mix(const Mixture& mixture, int64_t s, Lanes* taps) {
  for (int k = 0; k < kTaps; ++k) taps[k] = Lanes{};
  for (int64_t n = 0; n < mixture.count; ++n) {
    const float* const from = mixture.packed + n * mixture.stride + s * kTaps * kLanes;
    const float share = mixture.selection[n];
    for (int k = 0; k < kTaps; ++k) taps[k] += share * *reinterpret_cast<const Lanes*>(from + k * kLanes);
  }
}

[[gnu::always_inline]] inline void squares_of(const Lanes* taps, Lanes& sum) {
  sum = Lanes{};
  for (int k = 0; k < kTaps; ++k) sum += taps[k] * taps[k];
}

template <int M>
void kernel(const Mixture& mixture, int64_t rows, float* panel, int64_t place_stride, const float* energy,
            float* squares) {
  constexpr int n = M + 2;
  Lanes taps[kTaps], made[n * n], total = {};
  for (int64_t s = 0; s < rows; ++s) {
    mix(mixture, s, taps);
    sandwich<Forms<M>::kernel>(taps, made);
    store<n * n>(made, panel + s * kLanes, place_stride);
    if (energy == nullptr) continue;
    Lanes own;
    squares_of(taps, own);
    total += energy[s] * own;
  }
  if (energy != nullptr) *reinterpret_cast<Lanes*>(squares) += total;
}

template <int M>
void kernel_adjoint(const float* grad, int64_t place_stride, int64_t panel_stride, const Mixture& mixture,
                    int64_t blocks, const float* energy, float d, float* grad_mixture, float* grad_energy) {
  constexpr int n = M + 2;
  Lanes seen[n * n], made[kTaps], taps[kTaps], agreement = {};
  for (int64_t b = 0; b < blocks; ++b) {
    load<n * n>(grad + b * panel_stride, place_stride, seen);
    sandwich<Adjoints<M>::kernel>(seen, made);
    store<kTaps>(made, grad_mixture + b * kTaps * kLanes, kLanes);
    if (d == 0) continue;
    mix(mixture, b, taps);
    for (int k = 0; k < kTaps; ++k) agreement += taps[k] * made[k];
  }
  if (d == 0) return;
  float product = 0;
  for (int64_t l = 0; l < kLanes; ++l) product += agreement[l];
  // The output is linear in the kernel: product = d * (gradient of d); and d' = -d^3 / 2 by the energy.
  const float by_energy = -0.5F * d * d * product;
  for (int64_t b = 0; b < blocks; ++b) {
    Lanes own;
    mix(mixture, b, taps);
    squares_of(taps, own);
    const Lanes pull = 2 * by_energy * *reinterpret_cast<const Lanes*>(energy + b * kLanes);
    for (int k = 0; k < kTaps; ++k)
      *reinterpret_cast<Lanes*>(grad_mixture + (b * kTaps + k) * kLanes) += pull * taps[k];
    *reinterpret_cast<Lanes*>(grad_energy + b * kLanes) += by_energy * own;
  }
}

void mixture_adjoint(const float* grad_mixture, const Mixture& mixture, int64_t size, float* grad_packed,
                     float* grad_selection) {
  for (int64_t n = 0; n < mixture.count; ++n) {
    const float share = mixture.selection[n];
    Lanes product = {};
    for (int64_t i = 0; i < size; i += kLanes) {
      const Lanes own = *reinterpret_cast<const Lanes*>(grad_mixture + i);
      *reinterpret_cast<Lanes*>(grad_packed + n * mixture.stride + i) += share * own;
      product += own * *reinterpret_cast<const Lanes*>(mixture.packed + n * mixture.stride + i);
    }
    for (int64_t l = 0; l < kLanes; ++l) grad_selection[n] += product[l];
  }
}

// Accumulators that registers hold.
#if defined(__AVX512F__)
constexpr int kAtOnce = 8, kPanels = 2;
#elif defined(__AVX2__)
constexpr int kAtOnce = 4, kPanels = 1;
#else
constexpr int kAtOnce = 2, kPanels = 1;
#endif

// a[r, k] stands at r * Row + k / kLanes * depth_block + k % kLanes * Step; P panels of b.
template <int Row, int Step, int P>
[[gnu::always_inline]] inline void block(const Product& p, const float* a, int64_t depth_block, const float* b,
                                         float* c) {
  Lanes sum[kAtOnce][P];
  for (int r = 0; r < kAtOnce; ++r)
    for (int j = 0; j < P; ++j)
      sum[r][j] = p.add ? *reinterpret_cast<const Lanes*>(c + j * p.c_panel + r * kLanes) : Lanes{};
  const auto step = [&](const float* from, const float* with) {
    Lanes right[P];
    for (int j = 0; j < P; ++j) right[j] = *reinterpret_cast<const Lanes*>(with + j * p.b_panel);
#pragma GCC unroll 8
    for (int r = 0; r < kAtOnce; ++r)
#pragma GCC unroll 2
      for (int j = 0; j < P; ++j) sum[r][j] += from[r * Row] * right[j];
  };
  int64_t k = 0;
  for (; k + kLanes <= p.depth; k += kLanes, a += depth_block, b += kLanes * kLanes)
#pragma GCC unroll 4
    for (int64_t i = 0; i < kLanes; ++i) step(a + i * Step, b + i * kLanes);
  for (; k < p.depth; ++k, a += Step, b += kLanes) step(a, b);
  for (int r = 0; r < kAtOnce; ++r)
    for (int j = 0; j < P; ++j) *reinterpret_cast<Lanes*>(c + j * p.c_panel + r * kLanes) = sum[r][j];
}

template <int Row, int Step>
void multiply_as(const Product& p) {
  const int64_t panels = p.columns / kLanes;
  for (int64_t j = 0; j < panels; j += kPanels)
    for (int64_t r = 0; r < p.rows; r += kAtOnce) {
      const float* const a = p.a + (Row == 1 ? r / kLanes * p.a_panel + r % kLanes : r * Row);
      const int64_t depth_block = Row == 1 ? kLanes * kLanes : p.a_panel;
      const float* const b = p.b + j * p.b_panel;
      float* const c = p.c + j * p.c_panel + r * kLanes;
      if (j + kPanels <= panels)
        block<Row, Step, kPanels>(p, a, depth_block, b, c);
      else
        block<Row, Step, 1>(p, a, depth_block, b, c);
    }
}

void multiply(const Product& p) { p.rows_along ? multiply_as<kLanes, 1>(p) : multiply_as<1, kLanes>(p); }

template <int M>
constexpr WinogradKernels kernels{multiply, input<M>, input_adjoint<M>, output<M>,         output_adjoint<M>,
                                  pack,     unpack,   kernel<M>,        kernel_adjoint<M>, mixture_adjoint};

}  // namespace

#define GIGACAT_NAME(isa, m) GIGACAT_JOIN(winograd_, isa, m)
#define GIGACAT_JOIN(prefix, isa, m) prefix##isa##_##m
extern const WinogradKernels GIGACAT_NAME(GIGACAT_ISA, 2);
extern const WinogradKernels GIGACAT_NAME(GIGACAT_ISA, 4);
const WinogradKernels GIGACAT_NAME(GIGACAT_ISA, 2) = kernels<2>;
const WinogradKernels GIGACAT_NAME(GIGACAT_ISA, 4) = kernels<4>;

}  // namespace gigacat::nn
