#include "nn/adaptive_conv.h"

#include <ATen/Functions.h>

#include "gigacat/nn/autocast.h"
#include "gigacat/nn/resample.h"

// Letters: B batch, I and O channels in and out, N kernels, k kernel size.
namespace gigacat::nn {

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const ModulatedOptions& options, int64_t groups) {
  using List = at::IntArrayRef;
  const int64_t k = weight.size(2);
  const auto plain = [&](const at::Tensor& input, int64_t stride, int64_t pad) {
    return at::conv2d(input, weight, {}, List{stride, stride}, List{pad, pad}, List{1, 1}, groups);
  };
  if (options.down == 2) return k == 1 ? plain(downsample2d(x), 1, 0) : plain(filter_for_stride(x), 2, 0);
  if (options.up == 1) return plain(x, 1, k / 2);
  if (k == 1) return upsample2d(plain(x, 1, 0));
  const at::Tensor transposed = weight.unflatten(0, {groups, -1}).transpose(1, 2).flatten(0, 1);  // [g I, O, k, k]
  return filter_after_stride(
      at::conv_transpose2d(x, transposed, {}, List{2, 2}, List{0, 0}, List{0, 0}, groups, List{1, 1}));
}

at::Tensor mixed_conv(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection,
                      const ModulatedOptions& options) {
  if (!selection.defined()) return convolve(x, bank[0], options, 1);
  const int64_t b = x.size(0), out = bank.size(1), in = bank.size(2), k = bank.size(3);
  const at::Tensor kernel = at::matmul(selection, bank.flatten(1)).view({b * out, in, k, k});
  const at::Tensor y = convolve(x.reshape({1, b * in, x.size(2), x.size(3)}), kernel, options, b);
  return y.view({b, out, y.size(2), y.size(3)});
}

// The energy of a mixture is quadratic in the selection: sum_nm a_n a_m <K_n, K_m>, so that no sample's kernel is
// needed.
at::Tensor demodulation(const at::Tensor& bank, const at::Tensor& selection, const at::Tensor& style, double gain) {
  const FloatIsland island(bank);
  const auto type = bank.scalar_type();
  const at::Tensor s = (style.to(type) * gain).square();  // [B, I]
  if (!selection.defined()) return (at::linear(s, bank[0].square().sum({2, 3})) + kDemodulationEps).rsqrt();
  const int64_t n = bank.size(0), out = bank.size(1), in = bank.size(2);
  const at::Tensor pairs = at::triu_indices(n, n, 0, at::TensorOptions(bank.device()).dtype(at::kLong));  // [2, P]
  const at::Tensor left = pairs[0], right = pairs[1], a = selection.to(type);
  const at::Tensor twice = (left != right).to(type) + 1;  // both orders of a pair
  std::vector<at::Tensor> products;                       // <K_n, K_m>: [O, I] each
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i; j < n; ++j) products.push_back((bank[i] * bank[j]).sum({2, 3}));
  const at::Tensor gram = at::stack(products).view({-1, in});                            // [P O, I]
  const at::Tensor energy = at::linear(s, gram).view({s.size(0), -1, out});              // [B, P, O]
  const at::Tensor weight = a.index_select(1, left) * a.index_select(1, right) * twice;  // [B, P]
  return (at::matmul(weight.unsqueeze(1), energy).squeeze(1) + kDemodulationEps).rsqrt();
}

}  // namespace gigacat::nn
