#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>

#include "gigacat/core/error.h"
#include "nn/cpu/flash.h"
#include "nn/cpu/rows.h"

namespace gigacat::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Queries and keys [B, T, h, d] of qkv; `scales` keeps the norms for the backward pass.
QueryKey run_prepare(const at::Tensor& qkv, const QkTables& how, at::Tensor& scales) {
  const int64_t tokens = qkv.size(1), h = qkv.size(3), d = qkv.size(4), count = qkv.size(0) * tokens;
  const QueryKey made{at::empty({qkv.size(0), tokens, h, d}, qkv.options()),
                      at::empty({qkv.size(0), tokens, h, d}, qkv.options())};
  scales = at::empty({how.q_weight.defined() ? count : 0, 2, h}, how.cos.options());
  row_passes(qkv).rotate(qkv, how, made.q, made.k, scales);
  return made;
}

// Gradients of run_prepare: fills the q and k parts of dqkv; returns the weights' gradients [2, d], or undefined.
at::Tensor run_prepare_backward(const at::Tensor& qkv, const QkTables& how, const at::Tensor& scales,
                                const at::Tensor& dq, const at::Tensor& dk, bool weights, const at::Tensor& dqkv) {
  const int64_t count = qkv.size(0) * qkv.size(1), chunks = chunks_of(count);
  const at::Tensor partials = weights ? at::zeros({2, chunks, qkv.size(4)}, how.cos.options()) : at::Tensor();
  row_passes(qkv).rotate_backward(qkv, how, scales, dq, dk, dqkv, partials);
  return weights ? partials.sum(1) : at::Tensor();
}

// Tokens [first, first + length) of x [B, T, h, d] as [B, h, length, d].
at::Tensor run_of(const at::Tensor& x, int64_t first, int64_t length) {
  return x.narrow(1, first, length).transpose(1, 2);
}

// Output into `out` [B, h, L, d]; returns log(sum(exp(logits))) [B, h, L].
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& out) {
  if (q.scalar_type() == at::kFloat) return flash_attention(q, k, v, out);
  const auto [y, sums] = at::_scaled_dot_product_flash_attention_for_cpu(q, k, v);
  out.copy_(y);
  return sums;
}

void attend_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const at::Tensor& out, const at::Tensor& sums, const FlashGrads& to) {
  if (q.scalar_type() == at::kFloat) return flash_attention_backward(dout, q, k, v, out, sums, to);
  const auto [dq, dk, dv] =
      at::_scaled_dot_product_flash_attention_for_cpu_backward(dout, q, k, v, out, sums, 0.0, false);
  to.q.copy_(dq);
  to.k.copy_(dk);
  to.v.copy_(dv);
}

struct AttentionFunction : public torch::autograd::Function<AttentionFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv_in, const std::optional<at::Tensor>& q_norm,
                            const std::optional<at::Tensor>& k_norm, double eps, const at::Tensor& cos,
                            const at::Tensor& sin, const std::vector<int64_t>& parts) {
    const at::Tensor qkv = qkv_in.contiguous(), q_weight = q_norm.value_or(at::Tensor()),
                     k_weight = k_norm.value_or(at::Tensor());
    at::Tensor scales;
    const auto [q, k] = run_prepare(qkv, {q_weight, k_weight, cos, sin, eps}, scales);
    const at::Tensor out = at::empty_like(q), v = qkv.select(2, 2);
    std::vector<at::Tensor> sums;
    int64_t first = 0;
    for (const int64_t length : parts) {
      const auto of = [&](const at::Tensor& x) { return run_of(x, first, length); };
      sums.push_back(attend(of(q), of(k), of(v), of(out)));
      first += length;
    }
    // q and k are cheaper to make again than to keep.
    ctx->save_for_backward({qkv, q_weight, k_weight, cos, sin, out});
    ctx->saved_data["sums"] = sums;
    ctx->saved_data["parts"] = parts;
    ctx->saved_data["eps"] = eps;
    return out.flatten(2);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &qkv = saved[0], &out = saved[5];
    const QkTables how{saved[1], saved[2], saved[3], saved[4], ctx->saved_data["eps"].toDouble()};
    const std::vector<at::Tensor> sums = ctx->saved_data["sums"].toTensorVector();
    const std::vector<int64_t> parts = ctx->saved_data["parts"].toIntVector();
    const at::Tensor dout = grads[0].contiguous().view_as(out);
    at::Tensor scales;
    const auto [q, k] = run_prepare(qkv, how, scales);
    const at::Tensor v = qkv.select(2, 2), dqkv = at::empty_like(qkv), dv = dqkv.select(2, 2);
    const at::Tensor dq = at::empty_like(q), dk = at::empty_like(k);
    int64_t first = 0;
    for (size_t i = 0; i < parts.size(); first += parts[i++]) {
      const auto of = [&](const at::Tensor& x) { return run_of(x, first, parts[i]); };
      attend_backward(of(dout), of(q), of(k), of(v), of(out), sums[i], {of(dq), of(dk), of(dv)});
    }
    const bool weights = how.q_weight.defined() && ctx->needs_input_grad(1);
    const at::Tensor dw = run_prepare_backward(qkv, how, scales, dq, dk, weights, dqkv);
    variable_list result(7);
    result[0] = dqkv;
    if (weights) result[1] = dw[0], result[2] = dw[1];
    return result;
  }
};

// On a GPU, where LibTorch's attention keeps what its own backward needs: q, k and v [B, T, h, d] of qkv.
struct SplitFunction : public torch::autograd::Function<SplitFunction> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& qkv_in, const std::optional<at::Tensor>& q_norm,
                               const std::optional<at::Tensor>& k_norm, double eps, const at::Tensor& cos,
                               const at::Tensor& sin) {
    const at::Tensor qkv = qkv_in.contiguous(), q_weight = q_norm.value_or(at::Tensor()),
                     k_weight = k_norm.value_or(at::Tensor());
    at::Tensor scales;
    const auto [q, k] = run_prepare(qkv, {q_weight, k_weight, cos, sin, eps}, scales);
    ctx->save_for_backward({qkv, q_weight, k_weight, cos, sin});
    ctx->saved_data["scales"] = scales;
    ctx->saved_data["eps"] = eps;
    return {q, k, qkv.select(2, 2).clone(at::MemoryFormat::Contiguous)};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &qkv = saved[0], dqkv = at::empty_like(qkv);
    const QkTables how{saved[1], saved[2], saved[3], saved[4], ctx->saved_data["eps"].toDouble()};
    const bool weights = how.q_weight.defined() && ctx->needs_input_grad(1);
    const at::Tensor dw = run_prepare_backward(qkv, how, ctx->saved_data["scales"].toTensor(), grads[0].contiguous(),
                                               grads[1].contiguous(), weights, dqkv);
    dqkv.select(2, 2).copy_(grads[2]);
    variable_list result(6);
    result[0] = dqkv;
    if (weights) result[1] = dw[0], result[2] = dw[1];
    return result;
  }
};

// Rotation by pairs: (x0, x1) -> (x0 cos - x1 sin, x1 cos + x0 sin). x [B, T, h, d].
at::Tensor plain_rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const at::Tensor pairs = x.unflatten(-1, {-1, 2});
  const at::Tensor turned = at::stack({-pairs.select(-1, 1), pairs.select(-1, 0)}, -1).flatten(-2);
  return x * cos.unsqueeze(1) + turned * sin.unsqueeze(1);
}

QueryKey plain_query_key(const at::Tensor& qkv, const at::Tensor& q_weight, const at::Tensor& k_weight, double eps,
                         const Rotary& rotary) {
  const at::Tensor cos = rotary.cos.to(qkv.options()), sin = rotary.sin.to(qkv.options());
  const auto prepare = [&](int64_t part, const at::Tensor& weight) {
    const at::Tensor x = qkv.select(2, part);
    return plain_rotate(weight.defined() ? plain_rms(x, eps) * weight : x, cos, sin).to(qkv.scalar_type());
  };
  return {prepare(0, q_weight), prepare(1, k_weight)};
}

// softmax(q k^T / sqrt(d)) v on [B, h, T, d]; in a TwiceDifferentiable scope by operations whose backward is
// differentiable.
at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!TwiceDifferentiable::active()) return at::scaled_dot_product_attention(q, k, v);
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(-1)));
  return at::matmul(at::softmax(at::matmul(q * scale, k.transpose(-2, -1)), -1), v);
}

bool in_passes(const at::Tensor& qkv) { return use_passes({qkv}) && (qkv.is_cpu() || qkv.size(-1) <= kWidestGpuHead); }

}  // namespace

QueryKey query_key(const at::Tensor& qkv, const at::Tensor& q_weight, const at::Tensor& k_weight, double eps,
                   const Rotary& rotary) {
  if (!in_passes(qkv)) return plain_query_key(qkv, q_weight, k_weight, eps, rotary);
  at::Tensor scales;
  return run_prepare(qkv.contiguous(), {q_weight, k_weight, rotary.cos, rotary.sin, eps}, scales);
}

at::Tensor self_attention(const at::Tensor& qkv, const at::Tensor& q_weight, const at::Tensor& k_weight, double eps,
                          const Rotary& rotary, const std::vector<int64_t>& parts) {
  const std::vector<int64_t> runs = parts.empty() ? std::vector<int64_t>{qkv.size(1)} : parts;
  GIGACAT_CHECK(qkv.size(1) == rotary.cos.size(0), "tokens ", qkv.size(1), ", rotary table ", rotary.cos.size(0));
  const auto given = [](const at::Tensor& w) { return w.defined() ? std::optional(w) : std::nullopt; };
  const bool one_pass = in_passes(qkv);
  if (one_pass && qkv.is_cpu())
    return AttentionFunction::apply(qkv, given(q_weight), given(k_weight), eps, rotary.cos, rotary.sin, runs);

  at::Tensor q, k, v;
  if (one_pass) {
    const variable_list made = SplitFunction::apply(qkv, given(q_weight), given(k_weight), eps, rotary.cos, rotary.sin);
    q = made[0], k = made[1], v = made[2];
  } else {
    const QueryKey made = plain_query_key(qkv, q_weight, k_weight, eps, rotary);
    q = made.q, k = made.k, v = qkv.select(2, 2);
  }
  std::vector<at::Tensor> outs;
  int64_t first = 0;
  for (const int64_t length : runs) {
    outs.push_back(
        plain_attention(run_of(q, first, length), run_of(k, first, length), run_of(v, first, length)).transpose(1, 2));
    first += length;
  }
  return (outs.size() == 1 ? outs[0] : at::cat(outs, 1)).flatten(2);
}

}  // namespace gigacat::nn
