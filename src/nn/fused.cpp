#include "gigacat/nn/fused.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "gigacat/core/error.h"
#include "nn/rows.h"

namespace gigacat::nn {

extern const FusedKernels kernels_baseline;
#ifdef __x86_64__
extern const FusedKernels kernels_v3, kernels_v4;
#endif

const FusedKernels& fused_kernels() {
#ifdef __x86_64__
  static const FusedKernels& chosen =
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
          ? kernels_v4
      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? kernels_v3
                                                                        : kernels_baseline;
  return chosen;
#else
  return kernels_baseline;
#endif
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

thread_local int twice_depth = 0;

// The type in which a matrix product will want its input.
at::ScalarType product_type(const at::Tensor& x) {
  const at::DeviceType device = x.device().type();
  if (!at::autocast::is_autocast_enabled(device)) return x.scalar_type();
  const at::ScalarType type = at::autocast::get_autocast_dtype(device);
  return type == at::kBFloat16 || !x.is_cpu() ? type : x.scalar_type();
}

// Rows in `groups` equal groups, each with a vector of its own (scale, gate, weight); chunks never cross a group.
struct Rows {
  Rows(const at::Tensor& x, const at::Tensor& vector)
      : width(x.size(-1)),
        count(x.numel() / width),
        groups(vector.numel() / width),
        per_group(count / groups),
        chunks_per_group((per_group + kRowsPerChunk - 1) / kRowsPerChunk) {}
  int64_t width, count, groups, per_group, chunks_per_group;

  // body(chunk, group, first row, last row), in parallel over chunks.
  template <class Body>
  void for_chunks(const Body& body) const {
    at::parallel_for(0, groups * chunks_per_group, 1, [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const int64_t group = chunk / chunks_per_group;
        const int64_t first = group * per_group + chunk % chunks_per_group * kRowsPerChunk;
        body(chunk, group, first, std::min(first + kRowsPerChunk, (group + 1) * per_group));
      }
    });
  }
  at::Tensor partials(bool wanted) const {
    return wanted ? at::zeros({groups, chunks_per_group, width}, at::kFloat) : at::Tensor();
  }
};

// Sum of the partial gradients of a vector, in the vector's own shape.
at::Tensor total(const at::Tensor& partials, const at::Tensor& vector) {
  return partials.defined() ? partials.sum(1).view_as(vector) : at::Tensor();
}

float* chunk_row(const at::Tensor& partials, int64_t chunk, int64_t width) {
  return partials.defined() ? partials.data_ptr<float>() + chunk * width : nullptr;
}

struct RmsFunction : public torch::autograd::Function<RmsFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in, const at::Tensor& w_in, double plus,
                            double eps, int64_t out_type) {
    const at::Tensor x = x_in.contiguous(), w = w_in.contiguous();
    const Rows rows(x, w);
    at::Tensor y = at::empty(x.sizes(), x.options().dtype(static_cast<at::ScalarType>(out_type)));
    at::Tensor r = at::empty({rows.count}, at::kFloat);
    rows.for_chunks([&](int64_t, int64_t group, int64_t first, int64_t last) {
      RowReader in(x, rows.width);
      RowWriter out(y, rows.width);
      const float* scale = w.const_data_ptr<float>() + group * rows.width;
      for (int64_t row = first; row < last; ++row) {
        r.data_ptr<float>()[row] = fused_kernels().rms(in(row), scale, plus, eps, rows.width, out.slot(row));
        out.commit(row);
      }
    });
    ctx->save_for_backward({x, w});
    ctx->saved_data["r"] = r;
    ctx->saved_data["plus"] = plus;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1], dy = grads[0].contiguous(), r = ctx->saved_data["r"].toTensor();
    const float plus = static_cast<float>(ctx->saved_data["plus"].toDouble());
    const Rows rows(x, w);
    at::Tensor dx = at::empty_like(x), partials = rows.partials(ctx->needs_input_grad(1));
    rows.for_chunks([&](int64_t chunk, int64_t group, int64_t first, int64_t last) {
      RowReader in(x, rows.width), grad(dy, rows.width);
      RowWriter out(dx, rows.width);
      const float* scale = w.const_data_ptr<float>() + group * rows.width;
      for (int64_t row = first; row < last; ++row) {
        fused_kernels().rms_backward(grad(row), in(row), scale, plus, r.const_data_ptr<float>()[row], rows.width,
                                     out.slot(row), chunk_row(partials, chunk, rows.width));
        out.commit(row);
      }
    });
    return {dx, total(partials, w), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

struct GateFunction : public torch::autograd::Function<GateFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in, const at::Tensor& g_in,
                            const at::Tensor& y_in) {
    const at::Tensor x = x_in.contiguous(), g = g_in.contiguous(), y = y_in.contiguous();
    const Rows rows(x, g);
    at::Tensor out = at::empty_like(x);
    rows.for_chunks([&](int64_t, int64_t group, int64_t first, int64_t last) {
      RowReader in(x, rows.width), branch(y, rows.width);
      RowWriter to(out, rows.width);
      const float* scale = g.const_data_ptr<float>() + group * rows.width;
      for (int64_t row = first; row < last; ++row) {
        fused_kernels().gate(in(row), scale, branch(row), rows.width, to.slot(row));
        to.commit(row);
      }
    });
    ctx->save_for_backward({g, y});
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &g = saved[0], &y = saved[1], dout = grads[0].contiguous();
    const Rows rows(y, g);
    at::Tensor dy = at::empty_like(y), partials = rows.partials(ctx->needs_input_grad(1));
    rows.for_chunks([&](int64_t chunk, int64_t group, int64_t first, int64_t last) {
      RowReader grad(dout, rows.width), branch(y, rows.width);
      RowWriter to(dy, rows.width);
      const float* scale = g.const_data_ptr<float>() + group * rows.width;
      for (int64_t row = first; row < last; ++row) {
        fused_kernels().gate_backward(grad(row), scale, branch(row), rows.width, to.slot(row),
                                      chunk_row(partials, chunk, rows.width));
        to.commit(row);
      }
    });
    return {dout, total(partials, g), dy};
  }
};

struct SwiGluFunction : public torch::autograd::Function<SwiGluFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in) {
    const at::Tensor x = x_in.contiguous();
    const int64_t f = x.size(-1) / 2, count = x.numel() / (2 * f);
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = f;
    at::Tensor h = at::empty(shape, x.options());
    at::parallel_for(0, count, 16, [&](int64_t first, int64_t last) {
      RowReader in(x, 2 * f);
      RowWriter out(h, f);
      for (int64_t row = first; row < last; ++row) {
        fused_kernels().swiglu(in(row), f, out.slot(row));
        out.commit(row);
      }
    });
    ctx->save_for_backward({x});
    return h;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor x = ctx->get_saved_variables()[0], dh = grads[0].contiguous();
    const int64_t f = x.size(-1) / 2, count = x.numel() / (2 * f);
    at::Tensor dx = at::empty_like(x);
    at::parallel_for(0, count, 16, [&](int64_t first, int64_t last) {
      RowReader in(x, 2 * f), grad(dh, f);
      RowWriter out(dx, 2 * f);
      for (int64_t row = first; row < last; ++row) {
        fused_kernels().swiglu_backward(grad(row), in(row), f, out.slot(row));
        out.commit(row);
      }
    });
    return {dx};
  }
};

}  // namespace

TwiceDifferentiable::TwiceDifferentiable() { ++twice_depth; }
TwiceDifferentiable::~TwiceDifferentiable() { --twice_depth; }
bool TwiceDifferentiable::active() { return twice_depth > 0; }

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (use_kernels({x, weight})) return RmsFunction::apply(x, weight, 0.0, eps, static_cast<int64_t>(product_type(x)));
  return plain_rms(x, eps) * weight;
}

at::Tensor rms_norm_modulate(const at::Tensor& x, const at::Tensor& scale, double eps) {
  if (use_kernels({x, scale}))
    return RmsFunction::apply(x, scale.to(at::kFloat), 1.0, eps, static_cast<int64_t>(product_type(x)));
  return plain_rms(x, eps) * (1 + scale.unsqueeze(1));
}

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  if (use_kernels({x, gate, y})) return GateFunction::apply(x, gate.to(at::kFloat), y);
  return x + (gate.dim() == 2 ? gate.unsqueeze(1) : gate) * y;
}

at::Tensor swiglu(const at::Tensor& x) {
  if (use_kernels({x})) return SwiGluFunction::apply(x);
  const auto halves = x.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}

}  // namespace gigacat::nn
