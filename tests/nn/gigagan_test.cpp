// The parts of GigaGAN's networks where the reference numbers do not reach.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "gigacat/nn/fused.h"
#include "gigacat/nn/l2_attention.h"
#include "gigacat/nn/modulated_conv.h"
#include "gigacat/nn/resample.h"
#include "nn/gradients.h"

namespace gigacat::nn {
namespace {

using testing::relative_error;
using testing::value_and_gradients;
using testing::values;

TEST(Fir, OfFloatsIsThatOfDoublesThreeTimesOver) {
  const at::Tensor taps = at::tensor({1.0, 2.0, 5.0});
  struct Case {
    int64_t up, down;
    Pads pads;
  };
  const std::vector<Case> cases{
      {2, 1, {2, 0, 1, 1}}, {1, 2, {1, 1, 0, 2}}, {3, 2, {-1, 2, 3, -2}}, {1, 1, {1, 1, 1, 1}}};
  for (const Case& c : cases) {
    const auto twice = [&](const at::Tensor& input) {
      const at::Tensor x = input.clone().requires_grad_(true);
      const at::Tensor y = upfirdn2d(x, taps, c.up, c.down, c.pads, 2.0);
      const at::Tensor grad = torch::autograd::grad({y.pow(3).sum()}, {x}, {}, true, true)[0];
      return std::vector<at::Tensor>{y.detach(), grad.detach(), torch::autograd::grad({grad.square().sum()}, {x})[0]};
    };
    const at::Tensor x = values("x", {2, 3, 7, 9});
    const auto found = twice(x), wanted = twice(x.to(at::kDouble));
    for (size_t i = 0; i < found.size(); ++i) EXPECT_LT(relative_error(found[i], wanted[i]), 1e-5) << i;
  }
}

// In bfloat16 the inputs are rounded; what comes on top must stay of that size, far from the origin too.
TEST(L2Attention, HoldsInShortTypesFarFromTheOrigin) {
  for (const double offset : {0.0, 50.0}) {
    const at::Tensor q = values("q", {2, 2, 64, 16}) + offset, k = values("k", {2, 2, 64, 16}) + offset;
    const at::Tensor v = values("v", {2, 2, 64, 16});
    const auto brief = [](const at::Tensor& x) { return x.to(at::kBFloat16); };
    const at::Tensor wanted =
        l2_attention_reference(brief(q).to(at::kDouble), brief(k).to(at::kDouble), brief(v).to(at::kDouble));
    const at::Tensor found = l2_attention(brief(q), brief(k), brief(v)).to(at::kDouble);
    EXPECT_LT(((found - wanted).norm() / wanted.norm()).item<double>(), 0.05) << offset;
  }
}

TEST(L2Attention, LeavesMaskedKeysOut) {
  const at::Tensor q = values("q", {2, 2, 5, 8}), k = values("k", {2, 2, 6, 8}), v = values("v", {2, 2, 6, 8});
  at::Tensor mask = at::ones({2, 6}, at::kBool);
  mask.narrow(1, 4, 2).fill_(false);
  const at::Tensor found = l2_attention(q, k, v, mask);
  EXPECT_LT(relative_error(found, l2_attention_reference(q, k, v, mask)), 1e-5);
  EXPECT_LT(relative_error(found, l2_attention_reference(q, k.narrow(2, 0, 4), v.narrow(2, 0, 4))), 1e-5);
}

struct Layer {
  int64_t batch, bank, in, out, size, kernel, up;
};

class AdaptiveConvShapes : public ::testing::TestWithParam<Layer> {};

TEST_P(AdaptiveConvShapes, AgreesWithTheReference) {
  const Layer l = GetParam();
  const ModulatedOptions options{.up = l.up};
  const auto run = [&](auto convolution) {
    return value_and_gradients(
        [&](const std::vector<at::Tensor>& in) {
          const at::Tensor selection = l.bank > 1 ? at::softmax(in[2], -1) : at::Tensor();
          const at::Tensor y = convolution(in[0], in[1], selection, in[3], options);
          return l.bank > 1 ? y : y + 0 * in[2].sum();
        },
        {values("x", {l.batch, l.in, l.size, l.size}), values("bank", {l.bank, l.out, l.in, l.kernel, l.kernel}),
         values("selection", {l.batch, l.bank}), values("style", {l.batch, l.in}) + 1});
  };
  const auto wanted = run(adaptive_conv_reference), found = run(adaptive_conv);
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_LT(relative_error(found[i], wanted[i]), 1e-4) << i;
}

INSTANTIATE_TEST_SUITE_P(Nn, AdaptiveConvShapes,
                         ::testing::Values(Layer{3, 1, 8, 6, 4, 3, 1}, Layer{3, 2, 8, 6, 8, 3, 1},
                                           Layer{3, 4, 8, 6, 8, 3, 2}, Layer{2, 8, 16, 16, 16, 3, 1},
                                           Layer{2, 2, 8, 6, 8, 1, 1}, Layer{1, 2, 8, 6, 5, 3, 1}));

}  // namespace
}  // namespace gigacat::nn
