#include "gigacat/nn/l2_attention.h"

#include <ATen/Functions.h>

#include <cmath>
#include <optional>

#include "gigacat/core/error.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/nn/fused.h"

// Letters: B batch, h heads, T queries, S keys, d head width.
namespace gigacat::nn {
namespace {

constexpr int64_t kAlign = 8;  // fused kernels on GPUs want head widths that are multiples of it

// [B, S] -> a mask of logits [B, 1, 1, S].
at::Tensor for_logits(const at::Tensor& mask) { return mask.defined() ? mask.view({mask.size(0), 1, 1, -1}) : mask; }

at::Tensor weights_of(at::Tensor logits, const at::Tensor& mask) {
  if (mask.defined()) logits = logits.masked_fill(for_logits(mask).logical_not(), -INFINITY);
  return at::softmax(logits, -1);
}

// |q|^2 + |k|^2 - 2 q.k: distances [B, h, T, S] of centred rows, differentiable any number of times.
at::Tensor plain(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
  const at::Tensor norms = k.square().sum(-1).unsqueeze(2);  // [B, h, 1, S]; |q|^2 falls out of the softmax
  return at::matmul(weights_of((2 * at::matmul(q, k.transpose(2, 3)) - norms) * scale, mask), v);
}

// -|k|^2 as channels that add up to it: one in float32, three in a type with a short mantissa. norms [B, h, S].
at::Tensor norm_channels(const at::Tensor& norms, at::ScalarType type) {
  if (type == at::kFloat) return -norms.unsqueeze(-1);
  std::vector<at::Tensor> parts;
  at::Tensor rest = -norms;
  for (int i = 0; i < 3; ++i) {
    parts.push_back(rest.to(type));
    rest = rest - parts.back().to(at::kFloat);
  }
  return at::stack(parts, -1);
}

}  // namespace

at::Tensor l2_attention_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const at::Tensor& mask) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
  const at::Tensor distances = (q.unsqueeze(3) - k.unsqueeze(2)).square().sum(-1);  // [B, h, T, S]
  return at::matmul(weights_of(-distances * scale, mask), v);
}

at::Tensor l2_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) {
  const FloatIsland island(q);
  const auto type = v.scalar_type();
  const bool exact = TwiceDifferentiable::active() || type == at::kDouble;
  const auto wide = type == at::kDouble ? at::kDouble : at::kFloat;
  // Distances do not change when all rows move: the offset needs no gradient.
  const at::Tensor centre = k.detach().to(wide).mean(2, /*keepdim=*/true);  // [B, h, 1, d]
  if (exact) return plain(q.to(wide) - centre, k.to(wide) - centre, v.to(wide), mask).to(type);

  const int64_t d = q.size(3), more = type == at::kFloat ? 1 : 3, pad = (kAlign - (d + more) % kAlign) % kAlign;
  const auto constant = [&](const at::Tensor& rows, int64_t width, double value) {
    return at::full({1, 1, 1, width}, value, at::TensorOptions(rows.device()).dtype(type))
        .expand({rows.size(0), rows.size(1), rows.size(2), -1});
  };
  // In pieces of their own, so that nothing but the three long tensors is left when they are multiplied.
  const auto lengthened_q = [&] {
    const at::Tensor near = (q.to(wide) - centre).to(type);
    return at::cat({2 * near, constant(q, more, 1), constant(q, pad, 0)}, -1);
  };
  const auto lengthened_k = [&] {
    const at::Tensor near = (k.to(wide) - centre).to(type);
    const at::Tensor norms = norm_channels(near.to(wide).square().sum(-1), type);  // of what is multiplied
    return at::cat({near, norms, constant(k, pad, 0)}, -1);
  };
  const at::Tensor long_q = lengthened_q(), long_k = lengthened_k();
  const at::Tensor long_v = at::cat({v, constant(v, more + pad, 0)}, -1);
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  const std::optional<at::Tensor> visible = mask.defined() ? std::optional(for_logits(mask)) : std::nullopt;
  return at::scaled_dot_product_attention(long_q, long_k, long_v, visible, 0.0, false, scale).narrow(3, 0, d);
}

at::Tensor with_null(const at::Tensor& null, const at::Tensor& rows) {
  const at::Tensor front = null.view({1, rows.size(1), 1, rows.size(3)}).to(rows.scalar_type());
  return at::cat({front.expand({rows.size(0), -1, -1, -1}), rows}, 2);
}

at::Tensor split_heads(const at::Tensor& tokens, int64_t heads) {
  return tokens.unflatten(2, {heads, -1}).transpose(1, 2);
}

at::Tensor join_heads(const at::Tensor& heads) { return heads.transpose(1, 2).flatten(2); }

L2SelfAttentionImpl::L2SelfAttentionImpl(int64_t channels, int64_t inner, int64_t heads, bool tied, const Init& init)
    : heads_(heads) {
  GIGACAT_CHECK(inner % heads == 0, "inner ", inner, ", heads ", heads);
  const EqualizedOptions no_bias{.with_bias = false};
  const auto project = [&](const char* name) {
    return register_module(name, EqualizedLinear(channels, inner, init / name, no_bias));
  };
  if (tied) {
    qk_ = project("qk");
  } else {
    q_ = project("q");
    k_ = project("k");
  }
  v_ = project("v");
  out_ = register_module("out", EqualizedLinear(inner, channels, init / "out"));
}

at::Tensor L2SelfAttentionImpl::forward(const at::Tensor& x) {
  const at::Tensor q = split_heads(qk_.is_empty() ? q_(x) : qk_(x), heads_);  // [B, h, T, d]
  const at::Tensor k = qk_.is_empty() ? split_heads(k_(x), heads_) : q;
  return out_(join_heads(l2_attention(q, k, split_heads(v_(x), heads_))));
}

}  // namespace gigacat::nn
