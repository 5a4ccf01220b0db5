#include "gigacat/nn/fused.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "gigacat/dist/device.h"
#include "nn/gradients.h"

namespace gigacat::nn {
namespace {

using testing::Function;
using testing::relative_error;
using testing::value_and_gradients;
using testing::values;

// The CPU, and a GPU where there is one.
const std::vector<at::Device>& devices() {
  static const std::vector<at::Device> all = [] {
    std::vector<at::Device> found{at::kCPU};
    if (dist::cuda_problem().empty()) found.push_back(dist::choose_device("cuda", 0));
    return found;
  }();
  return all;
}

std::vector<at::Tensor> to(const std::vector<at::Tensor>& tensors, const at::TensorOptions& options) {
  std::vector<at::Tensor> out;
  for (const at::Tensor& tensor : tensors) out.push_back(tensor.to(options));
  return out;
}

// The kernels against plain LibTorch operations in double precision: value and every gradient.
void expect_kernels_agree(const Function& f, const std::vector<at::Tensor>& inputs, double tolerance = 2e-6) {
  std::vector<at::Tensor> plain;
  for (const at::Device device : devices()) {
    const std::vector<at::Tensor> fast = value_and_gradients(f, to(inputs, device));
    if (plain.empty()) {
      const TwiceDifferentiable scope;
      plain = value_and_gradients(f, to(inputs, at::kDouble));
    }
    for (size_t i = 0; i < fast.size(); ++i)
      EXPECT_LT(relative_error(fast[i].cpu(), plain[i]), tolerance) << "output " << i << " on " << device;
  }
}

Rotary rotary_for(const at::Tensor& like, const Rotary& table) {
  return {table.cos.to(like.options()), table.sin.to(like.options())};
}

// Without OpenMP in our own flags LibTorch's loop is one of one thread, and nothing says so.
TEST(Parallel, LoopsRunOnSeveralThreads) {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::array<std::thread::id, 2> ran;
  at::parallel_for(0, 2, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) ran[static_cast<size_t>(i)] = std::this_thread::get_id();
  });
  at::set_num_threads(before);
  EXPECT_NE(ran[0], ran[1]);
}

TEST(Fused, RmsNorm) {
  const Function f = [](const auto& in) { return rms_norm(in[0], in[1], 1e-6); };
  expect_kernels_agree(f, {values("x", {3, 131, 48}), values("w", {48})});
}

TEST(Fused, RmsNormModulate) {
  const Function f = [](const auto& in) { return rms_norm_modulate(in[0], in[1], 1e-6); };
  expect_kernels_agree(f, {values("x", {3, 70, 40}), values("s", {3, 40})});
  expect_kernels_agree(f, {values("x", {2, 9, 2048}), values("s", {2, 2048})});  // more than a block's usual memory
}

TEST(Fused, GatedResidual) {
  const Function f = [](const auto& in) { return gated_residual(in[0], in[1], in[2]); };
  expect_kernels_agree(f, {values("x", {2, 67, 24}), values("g", {2, 24}), values("y", {2, 67, 24})});
  expect_kernels_agree(f, {values("x", {2, 67, 24}), values("g", {24}), values("y", {2, 67, 24})});
}

TEST(Fused, SwiGlu) {
  const Function f = [](const auto& in) { return swiglu(in[0]); };
  for (const int64_t half : {37, 38, 300}) expect_kernels_agree(f, {values("x", {2, 33, 2 * half}) * 4});
  const at::Tensor extreme = at::tensor({-1e4f, 1e4f, -90.0f, 90.0f, 1.0f, 1.0f, 1.0f, 1.0f}).view({1, 8});
  const at::Tensor out = swiglu(extreme);
  EXPECT_TRUE(at::isfinite(out).all().item<bool>());
  EXPECT_FLOAT_EQ(out[0][1].item<float>(), 1e4f);
}

TEST(Fused, Attention) {
  const Rotary table = rotary_table(4, 5, 16, 1);
  for (const std::vector<int64_t>& parts : {std::vector<int64_t>{}, std::vector<int64_t>{5, 16}}) {
    const Function f = [&](const auto& in) {
      return self_attention(in[0], in[1], in[2], 1e-6, rotary_for(in[0], table), parts);
    };
    expect_kernels_agree(f, {values("qkv", {2, 21, 3, 2, 16}), values("q", {16}), values("k", {16})}, 5e-6);
    const Function no_norm = [&](const auto& in) {
      return self_attention(in[0], at::Tensor(), at::Tensor(), 1e-6, rotary_for(in[0], table), parts);
    };
    expect_kernels_agree(no_norm, {values("qkv", {2, 21, 3, 2, 16})}, 5e-6);
  }
}

// Heads that fill a GPU's lanes in one way or another.
TEST(Fused, AttentionOfManyWidths) {
  for (const auto& [heads, width] :
       std::vector<std::pair<int64_t, int64_t>>{{3, 4}, {5, 20}, {3, 72}, {1, 140}, {2, 300}}) {
    const Rotary table = rotary_table(7, 11, width, 1);
    const Function f = [&](const auto& in) {
      return self_attention(in[0], in[1], in[2], 1e-6, rotary_for(in[0], table), {});
    };
    expect_kernels_agree(f, {values("qkv", {2, 78, 3, heads, width}), values("q", {width}), values("k", {width})},
                         2e-5);
    const Function g = [&](const auto& in) {
      return self_attention(in[0], {}, {}, 1e-6, rotary_for(in[0], table), {});
    };
    expect_kernels_agree(g, {values("qkv", {2, 78, 3, heads, width}) * 0.5}, 2e-5);
  }
}

TEST(Fused, AttentionWithATokenBeforeTheGrid) {
  const Rotary table = concatenate({rotary_table(8, 10, 16, 1), rotary_table(2, 2, 16, 1)});
  const Function f = [&](const auto& in) {
    return self_attention(in[0], in[1], in[2], 1e-6, rotary_for(in[0], table), {81, 5});
  };
  expect_kernels_agree(f, {values("qkv", {2, 86, 3, 2, 16}) * 2, values("q", {16}), values("k", {16})}, 5e-6);
}

TEST(Fused, PartsSeeOnlyThemselves) {
  const Rotary table = rotary_table(2, 4, 8);
  const at::Tensor qkv = values("qkv", {1, 8, 3, 1, 8}), w = at::ones({8});
  at::Tensor moved = qkv.clone();
  moved.narrow(1, 0, 3) += 1;
  const at::Tensor a = self_attention(qkv, w, w, 1e-6, table, {3, 5}),
                   b = self_attention(moved, w, w, 1e-6, table, {3, 5});
  EXPECT_TRUE(at::equal(a.narrow(1, 3, 5), b.narrow(1, 3, 5)));
  EXPECT_FALSE(at::equal(a.narrow(1, 0, 3), b.narrow(1, 0, 3)));
}

TEST(Fused, PlainGradientsAgreeWithFiniteDifferences) {
  const Rotary table = rotary_table(1, 3, 8);
  const Function f = [&](const auto& in) {
    const at::Tensor x = rms_norm_modulate(in[0], in[1], 1e-6);
    const at::Tensor y = self_attention(x.unflatten(-1, {3, 1, 8}), in[2], in[2], 1e-6, rotary_for(x, table));
    return gated_residual(y, in[2], swiglu(in[0].narrow(-1, 0, 16)));
  };
  EXPECT_LT(testing::finite_difference_error(f, {values("x", {1, 3, 24}), values("s", {1, 24}), values("w", {8})}),
            1e-6);
}

TEST(Fused, TwiceDifferentiableScopeGivesSecondGradients) {
  const TwiceDifferentiable scope;
  const Rotary table = rotary_table(2, 2, 8);
  const at::Tensor qkv = values("qkv", {1, 4, 3, 1, 8}).requires_grad_(true), w = at::ones({8});
  const at::Tensor first =
      torch::autograd::grad({self_attention(qkv, w, w, 1e-6, table).square().sum()}, {qkv}, {}, true, true)[0];
  const at::Tensor second = torch::autograd::grad({first.square().sum()}, {qkv})[0];
  EXPECT_GT(second.abs().max().item<double>(), 0);
}

TEST(Fused, AutocastGivesBfloat16ForProductsAndFloatForTheResidual) {
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  const at::Tensor x = values("x", {2, 9, 32}), s = values("s", {2, 32});
  const at::Tensor y = rms_norm_modulate(x, s, 1e-6);
  const at::Tensor z = gated_residual(x, s.to(at::kBFloat16), y);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_EQ(z.scalar_type(), at::kFloat);
  EXPECT_LT(relative_error(y, rms_norm_modulate(x, s, 1e-6)), 4e-3);
}

// In the types of autocast: a residual stream in float32, branches and products in a short type.
TEST(Fused, ShortTypesOnAGpu) {
  if (devices().size() < 2) GTEST_SKIP() << dist::cuda_problem();
  const Rotary table = rotary_table(4, 5, 64, 1);
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    const double tolerance = type == at::kHalf ? 4e-3 : 3e-2;
    const auto expect_close = [&](const Function& f, std::vector<at::Tensor> inputs, const std::vector<size_t>& brief) {
      for (const size_t i : brief) inputs[i] = inputs[i].to(type).to(at::kFloat);
      const std::vector<at::Tensor> wide = value_and_gradients(f, inputs);
      inputs = to(inputs, devices()[1]);
      for (const size_t i : brief) inputs[i] = inputs[i].to(type);
      const std::vector<at::Tensor> out = value_and_gradients(f, inputs);
      for (size_t i = 0; i < out.size(); ++i)
        EXPECT_LT(relative_error(out[i].cpu().to(at::kFloat), wide[i]), tolerance) << type << ", output " << i;
    };
    expect_close([](const auto& in) { return rms_norm_modulate(in[0], in[1], 1e-6); },
                 {values("x", {3, 70, 384}), values("s", {3, 384})}, {0, 1});
    for (const std::vector<size_t>& brief : {std::vector<size_t>{2}, std::vector<size_t>{0, 1, 2}})
      expect_close([](const auto& in) { return gated_residual(in[0], in[1], in[2]); },
                   {values("x", {2, 67, 384}), values("g", {2, 384}), values("y", {2, 67, 384})}, brief);
    expect_close([](const auto& in) { return swiglu(in[0]); }, {values("x", {2, 33, 2 * 2730})}, {0});
    expect_close(
        [&](const auto& in) {
          const Rotary here{table.cos.to(in[0].device()), table.sin.to(in[0].device())};
          return self_attention(in[0], in[1], in[2], 1e-6, here, {5, 16});
        },
        {values("qkv", {2, 21, 3, 2, 64}), values("q", {64}), values("k", {64})}, {0});
  }
}

TEST(Fused, ResultsDoNotDependOnThreads) {
  const Function f = [](const auto& in) { return rms_norm(in[0], in[1], 1e-6); };
  const std::vector<at::Tensor> inputs{values("x", {4, 300, 32}), values("w", {32})};
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = value_and_gradients(f, inputs);
  at::set_num_threads(2);
  const auto two = value_and_gradients(f, inputs);
  at::set_num_threads(before);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one[i], two[i])) << "output " << i;
}

}  // namespace
}  // namespace gigacat::nn
