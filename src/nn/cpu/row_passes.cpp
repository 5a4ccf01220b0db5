#include "nn/row_passes.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

#include "dist/cuda_abi.h"
#include "gigacat/dist/device.h"
#include "nn/cpu/rows.h"

namespace gigacat::nn {
namespace {

// body(chunk, group, first row, last row), in parallel over chunks, which never cross a group.
template <class Body>
void for_chunks(const Rows& rows, const Body& body) {
  at::parallel_for(0, rows.groups * rows.chunks_per_group, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t group = chunk / rows.chunks_per_group;
      const int64_t first = group * rows.per_group + chunk % rows.chunks_per_group * kRowsPerChunk;
      body(chunk, group, first, std::min(first + kRowsPerChunk, (group + 1) * rows.per_group));
    }
  });
}

float* chunk_row(const at::Tensor& partials, int64_t chunk, int64_t width) {
  return partials.defined() ? partials.data_ptr<float>() + chunk * width : nullptr;
}

void rms(const at::Tensor& x, const at::Tensor& w, double plus, double eps, const at::Tensor& y, const at::Tensor& r) {
  const Rows rows = rows_of(x.numel(), w.numel(), x.size(-1));
  for_chunks(rows, [&](int64_t, int64_t group, int64_t first, int64_t last) {
    RowReader in(x, rows.width);
    RowWriter out(y, rows.width);
    const float* scale = w.const_data_ptr<float>() + group * rows.width;
    for (int64_t row = first; row < last; ++row) {
      r.data_ptr<float>()[row] = fused_kernels().rms(in(row), scale, static_cast<float>(plus), static_cast<float>(eps),
                                                     rows.width, out.slot(row));
      out.commit(row);
    }
  });
}

void rms_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w, double plus, const at::Tensor& r,
                  const at::Tensor& dx, const at::Tensor& partials) {
  const Rows rows = rows_of(x.numel(), w.numel(), x.size(-1));
  for_chunks(rows, [&](int64_t chunk, int64_t group, int64_t first, int64_t last) {
    RowReader in(x, rows.width), grad(dy, rows.width);
    RowWriter out(dx, rows.width);
    const float* scale = w.const_data_ptr<float>() + group * rows.width;
    for (int64_t row = first; row < last; ++row) {
      fused_kernels().rms_backward(grad(row), in(row), scale, static_cast<float>(plus), r.const_data_ptr<float>()[row],
                                   rows.width, out.slot(row), chunk_row(partials, chunk, rows.width));
      out.commit(row);
    }
  });
}

void gate(const at::Tensor& x, const at::Tensor& g, const at::Tensor& y, const at::Tensor& out) {
  const Rows rows = rows_of(x.numel(), g.numel(), x.size(-1));
  for_chunks(rows, [&](int64_t, int64_t group, int64_t first, int64_t last) {
    RowReader in(x, rows.width), branch(y, rows.width);
    RowWriter to(out, rows.width);
    const float* scale = g.const_data_ptr<float>() + group * rows.width;
    for (int64_t row = first; row < last; ++row) {
      fused_kernels().gate(in(row), scale, branch(row), rows.width, to.slot(row));
      to.commit(row);
    }
  });
}

void gate_backward(const at::Tensor& dout, const at::Tensor& g, const at::Tensor& y, const at::Tensor& dy,
                   const at::Tensor& partials) {
  const Rows rows = rows_of(y.numel(), g.numel(), y.size(-1));
  for_chunks(rows, [&](int64_t chunk, int64_t group, int64_t first, int64_t last) {
    RowReader grad(dout, rows.width), branch(y, rows.width);
    RowWriter to(dy, rows.width);
    const float* scale = g.const_data_ptr<float>() + group * rows.width;
    for (int64_t row = first; row < last; ++row) {
      fused_kernels().gate_backward(grad(row), scale, branch(row), rows.width, to.slot(row),
                                    chunk_row(partials, chunk, rows.width));
      to.commit(row);
    }
  });
}

void swiglu(const at::Tensor& x, const at::Tensor& h) {
  const int64_t f = h.size(-1);
  at::parallel_for(0, h.numel() / f, 16, [&](int64_t first, int64_t last) {
    RowReader in(x, 2 * f);
    RowWriter out(h, f);
    for (int64_t row = first; row < last; ++row) {
      fused_kernels().swiglu(in(row), f, out.slot(row));
      out.commit(row);
    }
  });
}

void swiglu_backward(const at::Tensor& dh, const at::Tensor& x, const at::Tensor& dx) {
  const int64_t f = dh.size(-1);
  at::parallel_for(0, dh.numel() / f, 16, [&](int64_t first, int64_t last) {
    RowReader in(x, 2 * f), grad(dh, f);
    RowWriter out(dx, 2 * f);
    for (int64_t row = first; row < last; ++row) {
      fused_kernels().swiglu_backward(grad(row), in(row), f, out.slot(row));
      out.commit(row);
    }
  });
}

// The tables as rows of floats.
struct Angles {
  explicit Angles(const QkTables& how)
      : cos(how.cos.const_data_ptr<float>()), sin(how.sin.const_data_ptr<float>()), width(how.cos.size(1)) {
    const at::Tensor* const weights[] = {&how.q_weight, &how.k_weight};
    for (int part = 0; part < 2; ++part)
      weight[part] = weights[part]->defined() ? weights[part]->const_data_ptr<float>() : nullptr;
  }
  const float *cos, *sin;
  const float* weight[2];
  int64_t width;
};

void rotate(const at::Tensor& qkv, const QkTables& how, const at::Tensor& q, const at::Tensor& k,
            const at::Tensor& scales) {
  const int64_t tokens = qkv.size(1), h = qkv.size(3), d = qkv.size(4);
  const Angles angles(how);
  at::parallel_for(0, qkv.size(0) * tokens, 16, [&](int64_t first, int64_t last) {
    RowReader in(qkv, h * d);
    std::array<RowWriter, 2> to{RowWriter(q, h * d), RowWriter(k, h * d)};
    for (int64_t row = first; row < last; ++row) {
      const int64_t at = row % tokens * angles.width;
      for (int part = 0; part < 2; ++part) {
        float* scale = angles.weight[part] ? scales.data_ptr<float>() + (row * 2 + part) * h : nullptr;
        fused_kernels().rotate(in(3 * row + part), angles.weight[part], static_cast<float>(how.eps), angles.cos + at,
                               angles.sin + at, h, d, to[part].slot(row), scale);
        to[part].commit(row);
      }
    }
  });
}

void rotate_backward(const at::Tensor& qkv, const QkTables& how, const at::Tensor& scales, const at::Tensor& dq,
                     const at::Tensor& dk, const at::Tensor& dqkv, const at::Tensor& partials) {
  const int64_t tokens = qkv.size(1), h = qkv.size(3), d = qkv.size(4), count = qkv.size(0) * tokens;
  const int64_t chunks = chunks_of(count);
  const Angles angles(how);
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    RowReader in(qkv, h * d);
    std::array<RowReader, 2> grads{RowReader(dq, h * d), RowReader(dk, h * d)};
    RowWriter out(dqkv, h * d);
    std::vector<float> scratch(d);
    for (int64_t row = begin * kRowsPerChunk; row < std::min(end * kRowsPerChunk, count); ++row) {
      const int64_t at = row % tokens * angles.width;
      for (int part = 0; part < 2; ++part) {
        const float* scale = angles.weight[part] ? scales.const_data_ptr<float>() + (row * 2 + part) * h : nullptr;
        fused_kernels().rotate_backward(grads[part](row), in(3 * row + part), angles.weight[part], scale,
                                        angles.cos + at, angles.sin + at, h, d, out.slot(3 * row + part),
                                        chunk_row(partials, part * chunks + row / kRowsPerChunk, d), scratch.data());
        out.commit(3 * row + part);
      }
    }
  });
}

constexpr RowPasses kOnCpu{rms, rms_backward, gate, gate_backward, swiglu, swiglu_backward, rotate, rotate_backward};

}  // namespace

const RowPasses& row_passes(const at::Tensor& x) {
  if (!x.is_cuda()) return kOnCpu;
  static const auto find = reinterpret_cast<cuda_abi::FindRowPasses*>(dist::cuda_symbol("gigacat_row_passes"));
  return find();
}

}  // namespace gigacat::nn
