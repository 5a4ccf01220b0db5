// The parts of GigaGAN's networks where the reference numbers do not reach.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/dist/device.h"
#include "gigacat/nn/fused.h"
#include "gigacat/nn/l2_attention.h"
#include "gigacat/nn/modulated_conv.h"
#include "gigacat/nn/resample.h"
#include "nn/cpu/winograd.h"
#include "nn/fir_value.h"
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

// What a GPU's thread computes of a value, computed here.
TEST(Fir, ValueByValueIsThatOfTheLoops) {
  struct Case {
    int64_t up, down;
    Pads pads;
  };
  for (const Case& c : std::vector<Case>{{2, 1, {2, 1, 2, 1}}, {1, 2, {1, 1, 1, 1}}, {3, 2, {-1, 2, 4, -2}}}) {
    const at::Tensor x = values("x", {1, 1, 7, 9}), taps = at::tensor({1.0f, 3.0f, 2.0f, 0.5f});
    const at::Tensor wanted = upfirdn2d(x, taps, c.up, c.down, c.pads, 1)[0][0];
    device::Fir fir{7,
                    9,
                    wanted.size(0),
                    wanted.size(1),
                    static_cast<int>(c.up),
                    static_cast<int>(c.down),
                    static_cast<int>(c.pads.left),
                    static_cast<int>(c.pads.top),
                    4,
                    {}};
    for (int k = 0; k < 4; ++k) fir.flipped[k] = (taps / taps.sum())[3 - k].item<float>();
    const float* const samples = x.const_data_ptr<float>();
    at::Tensor found = at::empty_like(wanted);
    for (int64_t y = 0; y < wanted.size(0); ++y)
      for (int64_t i = 0; i < wanted.size(1); ++i)
        found[y][i] = device::fir_at(fir, y, i, [samples](int64_t at) { return samples[at]; });
    EXPECT_LT(relative_error(found, wanted), 1e-6);
  }
}

// Runs where a GPU is: the kernel with its gradients beside the CPU's loops.
TEST(Fir, OfAGpuIsThatOfTheCpu) {
  if (const std::string problem = dist::cuda_problem(); !problem.empty()) GTEST_SKIP() << problem;
  const at::Device device = dist::choose_device("cuda", 0);
  const auto twice = [&](const at::Tensor& input) {
    const at::Tensor x = input.clone().requires_grad_(true);
    const at::Tensor y = downsample2d(upsample2d(x));
    const at::Tensor grad = torch::autograd::grad({y.pow(3).sum()}, {x}, {}, true, true)[0];
    return std::vector<at::Tensor>{y.detach().cpu(), grad.detach().cpu(),
                                   torch::autograd::grad({grad.square().sum()}, {x})[0].cpu()};
  };
  const at::Tensor x = values("x", {2, 3, 7, 9});
  const auto found = twice(x.to(device)), wanted = twice(x);
  for (size_t i = 0; i < found.size(); ++i) EXPECT_LT(relative_error(found[i], wanted[i]), 1e-5) << i;
  const at::Tensor brief = x.to(device, at::kBFloat16);
  EXPECT_LT(relative_error(upsample2d(brief).cpu().to(at::kFloat), upsample2d(brief.cpu().to(at::kFloat))), 0.01);
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

struct Tiles {
  int64_t batch, bank, in, out, height, width, tile;
  bool demodulate;
};

class WinogradShapes : public ::testing::TestWithParam<Tiles> {};

// In float32, beside the definition in double precision: tiles of 4 lose about one digit of seven.
TEST_P(WinogradShapes, AgreesWithTheReference) {
  const Tiles t = GetParam();
  const std::vector<at::Tensor> inputs{values("x", {t.batch, t.in, t.height, t.width}).to(at::kFloat),
                                       values("bank", {t.bank, t.out, t.in, 3, 3}).to(at::kFloat),
                                       values("selection", {t.batch, t.bank}).to(at::kFloat),
                                       (values("style", {t.batch, t.in}) + 1).to(at::kFloat)};
  const auto run = [&](at::ScalarType type, auto convolution) {
    std::vector<at::Tensor> typed;
    for (const at::Tensor& value : inputs) typed.push_back(value.to(type));
    return value_and_gradients(
        [&](const std::vector<at::Tensor>& in) {
          const at::Tensor selection = t.bank > 1 ? at::softmax(in[2], -1) : at::Tensor();
          const at::Tensor y = convolution(in[0], in[1], selection, in[3]);
          return t.bank > 1 ? y : y + 0 * in[2].sum();
        },
        typed);
  };
  const auto wanted = run(at::kDouble, [&](const auto&... in) {
    return adaptive_conv_reference(in..., ModulatedOptions{.demodulate = t.demodulate});
  });
  const auto found = run(at::kFloat, [&](const auto&... in) { return winograd_conv(in..., t.demodulate, t.tile); });
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_LT(relative_error(found[i], wanted[i]), 1e-5) << i;
}

INSTANTIATE_TEST_SUITE_P(Nn, WinogradShapes,
                         ::testing::Values(Tiles{3, 2, 32, 48, 8, 8, 2, true}, Tiles{3, 4, 48, 32, 9, 6, 2, true},
                                           Tiles{2, 3, 16, 160, 10, 13, 4, true}, Tiles{2, 2, 32, 32, 8, 16, 4, false},
                                           Tiles{3, 1, 32, 16, 9, 9, 4, false}, Tiles{5, 1, 16, 144, 8, 8, 2, false}));

// One pass and plain operations, gradients by what precedes and by the bias.
TEST(LeakyRelu, OfABiasedImageIsThatOfItsParts) {
  const auto run = [](at::ScalarType type, bool own) {
    return value_and_gradients(
        [&](const std::vector<at::Tensor>& in) {
          const at::Tensor x = in[0] * 1.5;
          return own ? leaky_relu_of_biased(x, in[1])
                     : at::leaky_relu(x + in[1].view({1, -1, 1, 1}), 0.2) * std::sqrt(2);
        },
        {values("x", {3, 5, 4, 7}).to(type), values("bias", {5}).to(type)});
  };
  const auto wanted = run(at::kDouble, false);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const auto found = run(type, true);
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_LT(relative_error(found[i], wanted[i]), 1e-6) << i;
  }
  const at::Tensor leaf = at::ones({1, 5, 2, 2}).requires_grad_(true);
  leaky_relu_of_biased(leaf, at::ones({5})).sum().backward();
  EXPECT_TRUE(leaf.detach().eq(1).all().item<bool>());  // a leaf stays as it was
}

// What the layers themselves choose at such sizes, with the penalty's second derivative.
TEST(Winograd, ServesLayersAndStepsAsideForPenalties) {
  const at::Tensor x = values("x", {2, 64, 16, 16}).to(at::kFloat),
                   bank = values("bank", {1, 64, 64, 3, 3}).to(at::kFloat);
  const at::Tensor style = at::ones({2, 64});
  ASSERT_GT(winograd_tile(x, 64, false), 0);
  EXPECT_EQ(winograd_tile(x.to(at::kDouble), 64, false), 0);
  EXPECT_EQ(winograd_tile(x.narrow(1, 0, 63), 64, false), 0);
  const auto penalty = [&] {
    const at::Tensor leaf = x.clone().requires_grad_(true);
    const at::Tensor y = adaptive_conv(leaf, bank, {}, style);
    const at::Tensor grad = torch::autograd::grad({y.square().sum()}, {leaf}, {}, true, /*create_graph=*/true)[0];
    return torch::autograd::grad({grad.square().sum()}, {leaf})[0];
  };
  EXPECT_THROW(penalty(), InternalError);
  const TwiceDifferentiable twice;
  EXPECT_TRUE(penalty().isfinite().all().item<bool>());
}

}  // namespace
}  // namespace gigacat::nn
