#include "gigacat/nn/cross_attention.h"

#include <ATen/Functions.h>

#include "gigacat/core/error.h"
#include "gigacat/nn/l2_attention.h"

// Letters as in the header.
namespace gigacat::nn {

CrossAttentionImpl::CrossAttentionImpl(int64_t channels, int64_t token_dim, const CrossAttentionOptions& options,
                                       const Init& init)
    : options_(options) {
  const int64_t inner = options.inner, heads = options.heads;
  GIGACAT_CHECK(inner % heads == 0, "inner ", inner, ", heads ", heads);
  GIGACAT_CHECK(options.logits == "dot" || options.logits == "l2", options.logits);
  GIGACAT_CHECK(options.null == "token" || options.null == "kv", options.null);
  if (options.null == "token") {
    null_ = register_parameter("null", init.normal("null", {token_dim}, 1));
  } else {
    null_k_ = register_parameter("null_k", init.normal("null_k", {heads, inner / heads}, 1));
    null_v_ = register_parameter("null_v", init.normal("null_v", {heads, inner / heads}, 1));
  }
  const EqualizedOptions no_bias{.with_bias = false};
  q_ = register_module("q", EqualizedLinear(channels, inner, init / "q", no_bias));
  k_ = register_module("k", EqualizedLinear(token_dim, inner, init / "k", no_bias));
  v_ = register_module("v", EqualizedLinear(token_dim, inner, init / "v", no_bias));
  out_ = register_module("out", EqualizedLinear(inner, channels, init / "out"));
}

CrossAttentionImpl::Rows CrossAttentionImpl::rows(const at::Tensor& x, const at::Tensor& tokens,
                                                  const at::Tensor& mask) {
  at::Tensor text = tokens;
  if (null_.defined())
    text = at::cat({null_.to(tokens.scalar_type()).expand({tokens.size(0), 1, -1}), tokens}, 1);  // [B, 1 + L, D]
  Rows rows{split_heads(q_(x), options_.heads), split_heads(k_(text), options_.heads),
            split_heads(v_(text), options_.heads), at::constant_pad_nd(mask, {1, 0}, true)};
  if (null_k_.defined()) {
    rows.k = with_null(null_k_, rows.k);
    rows.v = with_null(null_v_, rows.v);
  }
  return rows;
}

at::Tensor CrossAttentionImpl::attend(const Rows& r) {
  if (options_.logits == "l2") return l2_attention(r.q, r.k, r.v, r.mask);
  return at::scaled_dot_product_attention(r.q, r.k, r.v, r.mask.view({r.mask.size(0), 1, 1, -1}));
}

at::Tensor CrossAttentionImpl::forward(const at::Tensor& x, const at::Tensor& tokens, const at::Tensor& mask) {
  return out_(join_heads(attend(rows(x, tokens, mask))));
}

at::Tensor CrossAttentionImpl::null_share(const at::Tensor& x, const at::Tensor& tokens, const at::Tensor& mask) {
  Rows r = rows(x, tokens, mask);
  r.v = at::zeros_like(r.v);  // a value of 1 on the null alone reads its weight off
  r.v.select(2, 0).fill_(1);
  return attend(r).select(3, 0);
}

}  // namespace gigacat::nn
