#include "train/precision.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

namespace gigacat::train {
namespace {

at::ScalarType product_type() { return at::linear(at::ones({2, 4}), at::ones({3, 4})).scalar_type(); }

TEST(Precision, AutocastHoldsInItsScopeAlone) {
  const Precision precision("bf16", at::kCPU);
  EXPECT_EQ(product_type(), at::kFloat);
  {
    const auto outer = precision.autocast();
    EXPECT_EQ(product_type(), at::kBFloat16);
    {
      const auto inner = precision.autocast();
      EXPECT_EQ(product_type(), at::kBFloat16);
    }
    EXPECT_EQ(product_type(), at::kBFloat16);
  }
  EXPECT_EQ(product_type(), at::kFloat);
}

TEST(Precision, Float32ChangesNothing) {
  for (const char* name : {"fp32", "tf32"}) {
    const Precision precision(name, at::kCPU);
    const auto autocast = precision.autocast();
    EXPECT_EQ(product_type(), at::kFloat);
    EXPECT_FALSE(precision.scales_loss());
    EXPECT_EQ(at::globalContext().allowTF32CuBLAS(), std::string(name) == "tf32");
  }
}

TEST(Precision, HalfScalesTheLoss) {
  EXPECT_TRUE(Precision("fp16", at::kCPU).scales_loss());
  EXPECT_FALSE(Precision("bf16", at::kCPU).scales_loss());
}

// A cast that a backward pass left in the cache would hide an update of the weight.
TEST(Precision, CastsOfWeightsDoNotOutliveAnUpdate) {
  const Precision precision("bf16", at::kCPU);
  at::Tensor weight = at::ones({3, 4}).requires_grad_(true);
  const auto product = [&] { return at::linear(at::ones({2, 4}), weight).sum().item<float>(); };
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  EXPECT_EQ(product(), 24);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  weight.set_data(weight.detach() * 2);
  {
    at::NoGradGuard no_grad;
    weight.mul_(2);
  }
  const auto autocast = precision.autocast();
  EXPECT_EQ(product(), 96);
}

}  // namespace
}  // namespace gigacat::train
