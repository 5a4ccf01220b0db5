#include "gigacat/nn/fused.h"

#include <ATen/Functions.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "gigacat/core/error.h"
#include "nn/cpu/rows.h"

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

// Room for the partial gradients of a vector, where they are wanted.
at::Tensor partials_of(const at::Tensor& x, const at::Tensor& vector, bool wanted) {
  if (!wanted) return {};
  const Rows rows = rows_of(x.numel(), vector.numel(), x.size(-1));
  return at::zeros({rows.groups, rows.chunks_per_group, rows.width}, vector.options());
}

// Their sum, in the vector's own shape.
at::Tensor total(const at::Tensor& partials, const at::Tensor& vector) {
  return partials.defined() ? partials.sum(1).view_as(vector) : at::Tensor();
}

struct RmsFunction : public torch::autograd::Function<RmsFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in, const at::Tensor& w_in, double plus,
                            double eps, int64_t out_type) {
    const at::Tensor x = x_in.contiguous(), w = w_in.contiguous();
    const at::Tensor y = at::empty(x.sizes(), x.options().dtype(static_cast<at::ScalarType>(out_type)));
    const at::Tensor r = at::empty({x.numel() / x.size(-1)}, w.options());
    row_passes(x).rms(x, w, plus, eps, y, r);
    ctx->save_for_backward({x, w});
    ctx->saved_data["r"] = r;
    ctx->saved_data["plus"] = plus;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1], dx = at::empty_like(x);
    const at::Tensor partials = partials_of(x, w, ctx->needs_input_grad(1));
    row_passes(x).rms_backward(grads[0].contiguous(), x, w, ctx->saved_data["plus"].toDouble(),
                               ctx->saved_data["r"].toTensor(), dx, partials);
    return {dx, total(partials, w), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

struct GateFunction : public torch::autograd::Function<GateFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in, const at::Tensor& g_in,
                            const at::Tensor& y_in) {
    const at::Tensor x = x_in.contiguous(), g = g_in.contiguous(), y = y_in.contiguous(), out = at::empty_like(x);
    row_passes(x).gate(x, g, y, out);
    ctx->save_for_backward({g, y});
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &g = saved[0], &y = saved[1], dout = grads[0].contiguous(), dy = at::empty_like(y);
    const at::Tensor partials = partials_of(y, g, ctx->needs_input_grad(1));
    row_passes(y).gate_backward(dout, g, y, dy, partials);
    return {dout, total(partials, g), dy};
  }
};

struct SwiGluFunction : public torch::autograd::Function<SwiGluFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in) {
    const at::Tensor x = x_in.contiguous();
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() /= 2;
    const at::Tensor h = at::empty(shape, x.options());
    row_passes(x).swiglu(x, h);
    ctx->save_for_backward({x});
    return h;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor x = ctx->get_saved_variables()[0], dx = at::empty_like(x);
    row_passes(x).swiglu_backward(grads[0].contiguous(), x, dx);
    return {dx};
  }
};

}  // namespace

TwiceDifferentiable::TwiceDifferentiable() { ++twice_depth; }
TwiceDifferentiable::~TwiceDifferentiable() { --twice_depth; }
bool TwiceDifferentiable::active() { return twice_depth > 0; }

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (use_passes({x, weight})) return RmsFunction::apply(x, weight, 0.0, eps, static_cast<int64_t>(product_type(x)));
  return plain_rms(x, eps) * weight;
}

at::Tensor rms_norm_modulate(const at::Tensor& x, const at::Tensor& scale, double eps) {
  if (use_passes({x, scale}))
    return RmsFunction::apply(x, scale.to(at::kFloat), 1.0, eps, static_cast<int64_t>(product_type(x)));
  return plain_rms(x, eps) * (1 + scale.unsqueeze(1));
}

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& y) {
  if (use_passes({x, gate, y})) return GateFunction::apply(x, gate.to(at::kFloat), y);
  return x + (gate.dim() == 2 ? gate.unsqueeze(1) : gate) * y;
}

at::Tensor swiglu(const at::Tensor& x) {
  if (use_passes({x})) return SwiGluFunction::apply(x);
  const auto halves = x.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}

}  // namespace gigacat::nn
