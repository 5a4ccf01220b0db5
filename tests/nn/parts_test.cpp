#include <gtest/gtest.h>

#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/nn/activation_checkpoint.h"
#include "gigacat/nn/state.h"
#include "gigacat/nn/transformer.h"
#include "nn/gradients.h"

namespace gigacat::nn {
namespace {

using testing::values;

TEST(Init, DependsOnSeedAndPathAlone) {
  const Init init(3, "G");
  const at::Tensor a = (init / "blocks" / 0).xavier_uniform("weight", {100, 50});
  EXPECT_TRUE(at::equal(a, (Init(3, "G") / "blocks" / 0).xavier_uniform("weight", {100, 50})));
  EXPECT_FALSE(at::equal(a, (Init(4, "G") / "blocks" / 0).xavier_uniform("weight", {100, 50})));
  EXPECT_FALSE(at::equal(a, (init / "blocks" / 1).xavier_uniform("weight", {100, 50})));
  const double bound = std::sqrt(6.0 / 150);
  EXPECT_LE(a.abs().max().item<double>(), bound);
  EXPECT_NEAR(a.std().item<double>(), bound / std::sqrt(3.0), 0.01 * bound);
  const at::Tensor n = init.normal("table", {200, 100}, 0.02);
  EXPECT_NEAR(n.std().item<double>(), 0.02, 5e-4);
}

TEST(SwiGlu, HiddenWidthsOfTheSpec) {
  const std::vector<std::pair<int64_t, int64_t>> widths{{384, 1024},  {768, 2048}, {1024, 2730}, {1152, 3072},
                                                        {1280, 3413}, {256, 682},  {128, 341}};
  for (const auto& [width, hidden] : widths) EXPECT_EQ(SwiGluImpl::hidden_width(width), hidden);
}

TEST(PatchEmbed, EqualsAConvolution) {
  PatchEmbed embed(3, 16, 2, Init(0, "x"));
  const at::Tensor x = values("x", {2, 3, 4, 6});
  const auto parameters = embed->named_parameters();
  const at::Tensor expected =
      at::conv2d(x, parameters["proj.weight"], parameters["proj.bias"], 2).flatten(2).transpose(1, 2);
  EXPECT_LT(testing::relative_error(embed(x), expected), 1e-5);
}

TEST(PatchEmbed, UnpatchifyPutsPixelsBack) {
  const at::Tensor tokens = at::arange(2 * 6 * 12, at::kFloat).view({2, 6, 12});  // 2 x 3 tokens of 2 x 2 x 3
  const at::Tensor image = unpatchify(tokens, 2, 3, 2);
  ASSERT_EQ(image.sizes(), at::IntArrayRef({2, 3, 4, 6}));
  // token (row 1, column 2), pixel (1, 0), channel 2
  EXPECT_EQ(image[0][2][3][4].item<float>(), tokens[0][5][2 * 3 + 2].item<float>());
}

TEST(Rotary, LeavesPlainTokensAlone) {
  const Rotary table = rotary_table(2, 3, 8, 1);
  EXPECT_EQ(table.cos.size(0), 7);
  EXPECT_TRUE(at::equal(table.cos[0], at::ones({8})));
  EXPECT_TRUE(at::equal(table.sin[0], at::zeros({8})));
  EXPECT_TRUE(at::equal(table.cos[1], at::ones({8})));  // position (0, 0)
}

TEST(Checkpoint, GivesTheSameGradients) {
  Attention attention(32, 2, true, Init(0, "a"));
  SwiGlu mlp(32, Init(0, "m"));
  const Rotary table = rotary_table(3, 3, 16);
  const auto run = [&](const std::string& policy) {
    const CheckpointScope scope{CheckpointPolicy(policy)};
    attention->zero_grad();
    mlp->zero_grad();
    at::Tensor x = values("x", {2, 9, 32}).requires_grad_(true), y = x;
    for (int64_t i = 0; i < 2; ++i) {
      const auto block = [&](const std::vector<at::Tensor>& in) { return in[0] + mlp(attention(in[0], table)); };
      y = run_block(i, block, {y});
    }
    y.square().sum().backward();
    std::vector<at::Tensor> grads{x.grad().clone()};
    for (const torch::nn::Module* module : std::initializer_list<const torch::nn::Module*>{attention.get(), mlp.get()})
      for (const at::Tensor& p : module->parameters()) grads.push_back(p.grad().clone());
    return grads;
  };
  const auto plain = run("off");
  for (const char* policy : {"blocks", "every:2"}) {
    const auto again = run(policy);
    ASSERT_EQ(plain.size(), again.size());
    for (size_t i = 0; i < plain.size(); ++i)
      EXPECT_LT(testing::relative_error(again[i], plain[i]), 1e-6) << policy << " " << i;
  }
}

TEST(Checkpoint, ReachesParametersWhenNoInputNeedsAGradient) {
  SwiGlu mlp(16, Init(0, "m"));
  const CheckpointScope scope{CheckpointPolicy("blocks")};
  const at::Tensor y =
      run_block(0, [&](const std::vector<at::Tensor>& in) { return mlp(in[0]); }, {values("x", {2, 3, 16})});
  y.sum().backward();
  for (const at::Tensor& p : mlp->parameters()) EXPECT_TRUE(p.grad().defined());
}

TEST(Checkpoint, RefusesUnknownPolicies) {
  EXPECT_THROW(CheckpointPolicy("some"), UsageError);
  EXPECT_THROW(CheckpointPolicy("every:0"), UsageError);
  EXPECT_THROW(CheckpointPolicy("every:x"), UsageError);
}

TEST(State, LoadNamesWhatDoesNotFit) {
  SwiGlu mlp(16, Init(0, "m"));
  TensorMap state = state_of(*mlp);
  state.erase("w3.bias");
  state["w12.weight"] = at::zeros({3, 3});
  state["other"] = at::zeros({1});
  try {
    load_state(*mlp, state, "file.safetensors");
    FAIL() << "loaded a state that does not fit";
  } catch (const Error& error) {
    const std::string text = error.what();
    for (const char* part : {"file.safetensors", "w3.bias", "w12.weight", "other"})
      EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
  }
}

}  // namespace
}  // namespace gigacat::nn
