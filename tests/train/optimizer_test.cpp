#include "gigacat/train/optimizer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "gigacat/core/error.h"
#include "train/fixtures.h"

namespace gigacat::train {
namespace {

using testing::HasSubstr;

run::OptimizerConfig plain_config() {
  auto config = config::defaults<run::OptimizerConfig>();
  config.lr = 0.1;
  return config;
}

struct Weights : torch::nn::Module {
  Weights() {
    a = register_parameter("a", at::arange(1.0f, 7.0f).view({2, 3}));
    b = register_parameter("b", at::tensor({-1.0f, 2.0f}));
  }
  void set_grad(double scale) {
    a.mutable_grad() = at::arange(6.0f).view({2, 3}) * scale;
    b.mutable_grad() = at::tensor({0.5f, -0.25f}) * scale;
  }
  at::Tensor a, b;
};

// AdamW of one value as the paper writes it (Loshchilov and Hutter, algorithm 2), in double precision.
struct Reference {
  double value, mean = 0, square = 0;
  void step(double gradient, int t, double lr, const run::OptimizerConfig& c) {
    mean = c.beta1 * mean + (1 - c.beta1) * gradient;
    square = c.beta2 * square + (1 - c.beta2) * gradient * gradient;
    value -= lr * c.weight_decay * value;
    const double m = mean / (1 - std::pow(c.beta1, t)), v = square / (1 - std::pow(c.beta2, t));
    value -= lr * m / (std::sqrt(v) + c.eps);
  }
};

TEST(Optimizer, FollowsTheFormula) {
  for (const double beta1 : {0.0, 0.9}) {
    run::OptimizerConfig config = plain_config();
    config.beta1 = beta1;
    config.weight_decay = 0.01;
    config.max_grad_norm = 1;
    Weights module;
    Optimizer optimizer(module, config);
    std::vector<Reference> wanted;
    for (const at::Tensor& t : {module.a.detach().flatten(), module.b.detach()})
      for (int64_t i = 0; i < t.numel(); ++i) wanted.push_back({t[i].item<double>()});

    for (int t = 1; t <= 5; ++t) {
      const double scale = t == 3 ? 0.01 : 1.5;  // short gradients are not clipped
      module.set_grad(scale);
      std::vector<double> gradients;
      double norm = 0;
      for (const at::Tensor& g : {module.a.grad().flatten(), module.b.grad()})
        for (int64_t i = 0; i < g.numel(); ++i) gradients.push_back(g[i].item<double>());
      for (const double g : gradients) norm += g * g;
      norm = std::sqrt(norm);
      const double factor = std::min(1.0, 1 / norm), lr = 0.1 / t;
      optimizer.step(lr);
      EXPECT_NEAR(optimizer.grad_norm().item<double>(), norm, 1e-5 * norm);
      for (size_t i = 0; i < wanted.size(); ++i) wanted[i].step(gradients[i] * factor, t, lr, config);
    }
    const at::Tensor all = at::cat({module.a.detach().flatten(), module.b.detach()});
    for (size_t i = 0; i < wanted.size(); ++i)
      EXPECT_NEAR(all[static_cast<int64_t>(i)].item<double>(), wanted[i].value, 2e-5)
          << "beta1 " << beta1 << " value " << i;
  }
}

TEST(Optimizer, SkipsAStepWhoseGradientIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Weights module, twin;
    Optimizer optimizer(module, plain_config()), clean(twin, plain_config());
    module.set_grad(1);
    twin.set_grad(1);
    optimizer.step(0.1);
    clean.step(0.1);
    module.set_grad(1);
    module.b.grad()[1] = bad;
    optimizer.step(0.1);
    EXPECT_EQ(optimizer.skipped().item<float>(), 1);
    EXPECT_TRUE(module.a.equal(twin.a));
    // The next good step is that of an optimiser that never saw the bad one.
    module.set_grad(0.5);
    twin.set_grad(0.5);
    optimizer.step(0.1);
    clean.step(0.1);
    EXPECT_EQ(optimizer.skipped().item<float>(), 0);
    EXPECT_EQ(difference(optimizer.state(), clean.state()), 0);
    EXPECT_TRUE(module.a.equal(twin.a) && module.b.equal(twin.b));
  }
}

TEST(Optimizer, LossScaleDoesNotChangeTheUpdate) {
  Weights module, twin;
  Optimizer scaled(module, plain_config(), {.scale_loss = true}), plain(twin, plain_config());
  const double scale = scaled.loss_scale().item<double>();
  EXPECT_EQ(scaled.scaled(at::tensor(2.0f)).item<double>(), 2 * scale);
  EXPECT_EQ(plain.scaled(at::tensor(2.0f)).item<double>(), 2);
  module.set_grad(scale);
  twin.set_grad(1);
  scaled.step(0.1);
  plain.step(0.1);
  EXPECT_NEAR(scaled.grad_norm().item<double>(), plain.grad_norm().item<double>(), 1e-5);
  EXPECT_TRUE(module.a.allclose(twin.a, 1e-5)) << module.a << twin.a;
}

TEST(Optimizer, LossScaleHalvesOnOverflowAndGrowsAfterManyGoodSteps) {
  Weights module;
  Optimizer optimizer(module, plain_config(), {.scale_loss = true});
  const double first = optimizer.loss_scale().item<double>();
  module.set_grad(1);
  module.a.grad()[0][0] = std::numeric_limits<float>::infinity();
  optimizer.step(0.1);
  EXPECT_EQ(optimizer.loss_scale().item<double>(), first / 2);
  for (int i = 0; i < 2000; ++i) {
    module.set_grad(1);
    optimizer.step(0);
  }
  EXPECT_EQ(optimizer.loss_scale().item<double>(), first);
}

TEST(Optimizer, StateGoesByNameAndComesBack) {
  Weights module, other;
  run::OptimizerConfig config = plain_config();
  config.beta1 = 0.5;
  Optimizer optimizer(module, config), fresh(other, config);
  module.set_grad(1);
  optimizer.step(0.1);
  nn::TensorMap saved;
  for (const auto& [name, tensor] : optimizer.state()) saved[name] = tensor.clone();
  EXPECT_TRUE(saved.contains("a.exp_avg") && saved.contains("b.exp_avg_sq") && saved.contains("step"));
  fresh.load_state(saved, "test");
  EXPECT_EQ(difference(fresh.state(), saved), 0);

  auto missing = saved;
  missing.erase("b.exp_avg");
  EXPECT_THAT(error_of<Error>([&] { fresh.load_state(missing, "test"); }), HasSubstr("test lacks b.exp_avg"));
  auto extra = saved;
  extra["c.exp_avg"] = at::zeros({1});
  EXPECT_THAT(error_of<Error>([&] { fresh.load_state(extra, "test"); }), HasSubstr("c.exp_avg"));
  auto misshapen = saved;
  misshapen["a.exp_avg"] = at::zeros({6});
  EXPECT_THAT(error_of<Error>([&] { fresh.load_state(misshapen, "test"); }), HasSubstr("another shape"));
}

// The mean is then the gradient: none is kept, and a state of either kind is taken.
TEST(Optimizer, KeepsNoMeanWithoutBeta1) {
  Weights module, twin;
  run::OptimizerConfig config = plain_config(), with_mean = plain_config();
  config.beta1 = 0;
  with_mean.beta1 = 0.5;
  Optimizer without(module, config), with(twin, with_mean);
  module.set_grad(1);
  twin.set_grad(1);
  without.step(0.1);
  with.step(0.1);
  EXPECT_FALSE(without.state().contains("a.exp_avg"));
  const nn::TensorMap alone = without.state(), both = with.state();
  EXPECT_TRUE(alone.at("a.exp_avg_sq").equal(both.at("a.exp_avg_sq")));
  without.load_state(both, "test");
  EXPECT_TRUE(both.at("a.exp_avg").ne(0).any().item<bool>());
  with.load_state(alone, "test");
  EXPECT_TRUE(with.state().at("a.exp_avg").eq(0).all().item<bool>());
  auto extra = nn::TensorMap(alone);
  extra["c.exp_avg"] = at::zeros({1});
  EXPECT_THAT(error_of<Error>([&] { without.load_state(extra, "test"); }), HasSubstr("c.exp_avg"));
}

TEST(Optimizer, NamesParametersWithoutAGradient) {
  Weights module;
  Optimizer optimizer(module, plain_config());
  module.set_grad(1);
  module.b.mutable_grad().reset();
  EXPECT_THAT(error_of<Error>([&] { optimizer.step(0.1); }), HasSubstr("no gradient reached b"));
}

TEST(Optimizer, LeavesFrozenParametersAlone) {
  Weights module;
  module.b.set_requires_grad(false);
  Optimizer optimizer(module, plain_config());
  EXPECT_THAT(optimizer.names(), testing::ElementsAre("a"));
}

TEST(Optimizer, DecaysAttentionAloneWhereThatIsAsked) {
  struct Network : torch::nn::Module {
    Network() {
      for (const char* name : {"self0", "conv0", "cross1", "selfish"}) {
        auto part = register_module(name, std::make_shared<torch::nn::Module>());
        part->register_parameter("weight", at::ones({2}));
      }
    }
  } module;
  run::OptimizerConfig config = plain_config();
  config.weight_decay = 0.5;
  config.decay = "attention";
  Optimizer optimizer(module, config, {.attention = {"self0.weight", "cross1.weight"}});
  for (at::Tensor& p : module.parameters()) p.mutable_grad() = at::zeros({2});
  optimizer.step(0.1);
  for (const auto& item : module.named_parameters()) {
    const bool decays = item.key() == "self0.weight" || item.key() == "cross1.weight";
    EXPECT_FLOAT_EQ(item.value()[0].item<float>(), decays ? 0.95f : 1.0f) << item.key();
  }
}

TEST(Schedule, ConstantStays) {
  const run::OptimizerConfig config = plain_config();
  for (const int64_t step : {0, 1, 99'999}) EXPECT_EQ(schedule_factor(config, step, 100'000), 1);
}

TEST(Schedule, WarmupRisesInALine) {
  run::OptimizerConfig config = plain_config();
  config.schedule = "warmup";
  config.warmup = 4;
  const double wanted[] = {0.25, 0.5, 0.75, 1, 1, 1};
  for (int64_t step = 0; step < 6; ++step) EXPECT_DOUBLE_EQ(schedule_factor(config, step, 100), wanted[step]);
}

TEST(Schedule, CosineFallsToItsEnd) {
  run::OptimizerConfig config = plain_config();
  config.schedule = "cosine";
  config.warmup = 10;
  config.final_lr = 0.1;
  EXPECT_DOUBLE_EQ(schedule_factor(config, 10, 110), 1);
  EXPECT_DOUBLE_EQ(schedule_factor(config, 60, 110), 0.55);  // the middle
  EXPECT_DOUBLE_EQ(schedule_factor(config, 110, 110), 0.1);
  EXPECT_DOUBLE_EQ(schedule_factor(config, 500, 110), 0.1);
  config.decay_steps = 60;
  EXPECT_DOUBLE_EQ(schedule_factor(config, 60, 110), 0.1);
}

}  // namespace
}  // namespace gigacat::train
