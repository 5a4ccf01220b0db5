#include "nn/cpu/flash.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "gigacat/core/error.h"
#include "nn/cpu/fused_kernels.h"

namespace gigacat::nn {
namespace {

constexpr int64_t kBlock = 64;  // queries that go together

// One head [L, d] of a view [B, h, L, d].
struct HeadRows {
  float* data;
  int64_t stride;
  HeadRows from(int64_t row) const { return {data + row * stride, stride}; }
};

HeadRows head_of(const at::Tensor& x, int64_t index) {
  const int64_t b = index / x.size(1), head = index % x.size(1);
  return {static_cast<float*>(const_cast<void*>(x.const_data_ptr())) + b * x.stride(0) + head * x.stride(1),
          x.stride(2)};
}

void check(std::initializer_list<at::Tensor> tensors) {
  for (const at::Tensor& t : tensors)
    GIGACAT_CHECK(t.dim() == 4 && t.scalar_type() == at::kFloat && t.stride(3) == 1, "attention of ", t.sizes());
}

// c [m, n] = a [m, k] b [k, n], or c += a b. LibTorch's flash attention calls MKL here, which runs such small products
// at two thirds of the speed on processors that are not Intel's.
void multiply(int64_t m, int64_t n, int64_t k, HeadRows a, HeadRows b, HeadRows c, bool add = false) {
  at::native::cpublas::brgemm(m, n, k, a.stride, b.stride, c.stride, add, a.data, b.data, c.data);
}

void transpose(HeadRows from, int64_t rows, int64_t columns, HeadRows to) {
  fused_kernels().transpose(from.data, from.stride, rows, columns, to.data, to.stride);
}

// Floats of one thread, in pieces.
class Scratch {
 public:
  explicit Scratch(int64_t floats) : floats_(floats) {}
  HeadRows piece(int64_t rows, int64_t columns) {
    const HeadRows piece{floats_.data() + used_, columns};
    used_ += rows * columns;
    return piece;
  }

 private:
  std::vector<float> floats_;
  int64_t used_ = 0;
};

}  // namespace

at::Tensor flash_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& out) {
  check({q, k, v, out});
  const int64_t heads = q.size(0) * q.size(1), length = q.size(2), keys = k.size(2), d = q.size(3);
  const int64_t blocks = (length + kBlock - 1) / kBlock;
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d)));
  at::Tensor sums = at::empty({q.size(0), q.size(1), length}, q.options());
  float* const sums_data = sums.data_ptr<float>();
  at::parallel_for(0, heads * blocks, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(keys * (d + kBlock));
    const HeadRows kt = scratch.piece(d, keys), logits = scratch.piece(kBlock, keys);
    int64_t packed = -1;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t head = task / blocks, first = task % blocks * kBlock, rows = std::min(kBlock, length - first);
      if (head != packed) transpose(head_of(k, head), keys, d, kt);
      packed = head;
      multiply(rows, keys, d, head_of(q, head).from(first), kt, logits);
      const HeadRows to = head_of(out, head).from(first);
      std::array<float, kBlock> totals;
      for (int64_t i = 0; i < rows; ++i)
        sums_data[head * length + first + i] =
            fused_kernels().softmax(logits.from(i).data, keys, scale, logits.from(i).data, &totals[i]);
      multiply(rows, d, keys, logits, head_of(v, head), to);
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t c = 0; c < d; ++c) to.from(i).data[c] /= totals[i];
    }
  });
  return sums;
}

void flash_attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const at::Tensor& out, const at::Tensor& sums, const FlashGrads& to) {
  check({dout, q, k, v, out, to.q, to.k, to.v});
  const int64_t heads = q.size(0) * q.size(1), length = q.size(2), keys = k.size(2), d = q.size(3);
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d)));
  const at::Tensor dots = (dout * out).sum(3).contiguous();  // [B, h, L]
  // Logits stand transposed, [keys, queries]: so all products but one find their factors in place.
  at::parallel_for(0, heads, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(keys * (d + 2 * kBlock) + 3 * d * kBlock);
    const HeadRows kt = scratch.piece(d, keys);
    float* const rest = scratch.piece(1, keys * 2 * kBlock + 3 * d * kBlock).data;
    for (int64_t head = begin; head < end; ++head) {
      transpose(head_of(k, head), keys, d, kt);
      for (int64_t first = 0; first < length; first += kBlock) {
        const int64_t rows = std::min(kBlock, length - first);
        const HeadRows p{rest, rows}, dp{p.data + keys * rows, rows}, qt{dp.data + keys * rows, rows},
            gt{qt.data + d * rows, rows}, dqt{gt.data + d * rows, rows};
        const HeadRows query = head_of(q, head).from(first), grad = head_of(dout, head).from(first);
        transpose(query, rows, d, qt);
        transpose(grad, rows, d, gt);
        multiply(keys, rows, d, head_of(k, head), qt, p);
        multiply(keys, rows, d, head_of(v, head), gt, dp);
        const int64_t at = head * length + first;
        fused_kernels().softmax_backward(p.data, dp.data, sums.const_data_ptr<float>() + at,
                                         dots.const_data_ptr<float>() + at, scale, keys, rows);
        multiply(keys, d, rows, p, grad, head_of(to.v, head), first > 0);
        multiply(keys, d, rows, dp, query, head_of(to.k, head), first > 0);
        multiply(d, rows, keys, kt, dp, dqt);
        transpose(dqt, d, rows, head_of(to.q, head).from(first));
      }
    }
  });
}

}  // namespace gigacat::nn
