#include "train/ema.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "gigacat/core/error.h"

namespace gigacat::train {
namespace {

struct Net : torch::nn::Module {
  explicit Net(float value, int64_t width = 3) {
    weight = register_parameter("weight", at::full({width}, value));
    mean = register_buffer("mean", at::full({2}, 10 * value));
    count = register_buffer("count", at::full({}, static_cast<int64_t>(value), at::kLong));
  }
  at::Tensor weight, mean, count;
};

run::OptimizerConfig with_decay(double decay, int64_t warmup = 0) {
  auto config = config::defaults<run::OptimizerConfig>();
  config.ema = decay;
  config.ema_warmup = warmup;
  return config;
}

TEST(Ema, BeginsAtTheSource) {
  Net source(2);
  const auto average = std::make_shared<Net>(0);
  const Ema ema(source, average, with_decay(0.9));
  EXPECT_TRUE(average->weight.equal(source.weight));
  EXPECT_TRUE(average->mean.equal(source.mean));
  EXPECT_FALSE(average->weight.requires_grad());
}

TEST(Ema, MovesParametersAndCopiesBuffers) {
  Net source(2);
  const auto average = std::make_shared<Net>(0);
  Ema ema(source, average, with_decay(0.9));
  at::NoGradGuard no_grad;
  source.weight.fill_(4);
  source.mean.fill_(-1);
  source.count.fill_(7);
  ema.update(0);
  EXPECT_TRUE(average->weight.allclose(at::full({3}, 0.9 * 2 + 0.1 * 4)));
  EXPECT_TRUE(average->mean.equal(source.mean));
  EXPECT_EQ(average->count.item<int64_t>(), 7);
  ema.update(1);
  EXPECT_TRUE(average->weight.allclose(at::full({3}, 0.9 * 2.2 + 0.1 * 4)));
}

TEST(Ema, WarmupShortensTheMemoryOfTheFirstSteps) {
  Net source(2);
  const Ema ema(source, std::make_shared<Net>(0), with_decay(0.999, 10));
  EXPECT_DOUBLE_EQ(ema.decay(0), 0.1);
  EXPECT_DOUBLE_EQ(ema.decay(5), 6.0 / 15);
  EXPECT_DOUBLE_EQ(ema.decay(1'000'000), 0.999);
  EXPECT_DOUBLE_EQ(Ema(source, std::make_shared<Net>(0), with_decay(0.999)).decay(0), 0.999);
}

TEST(Ema, AnotherArchitectureIsOurFault) {
  Net source(2);
  EXPECT_THROW(Ema(source, std::make_shared<Net>(0, 4), with_decay(0.9)), InternalError);
}

}  // namespace
}  // namespace gigacat::train
