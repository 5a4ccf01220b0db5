#include "train/guard.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "train/fixtures.h"

namespace gigacat::train {
namespace {

using testing::HasSubstr;

const float kNan = std::numeric_limits<float>::quiet_NaN();

struct TwoVectors : torch::nn::Module {
  TwoVectors() {
    first = register_parameter("first", at::ones({2}));
    second = register_parameter("second", at::ones({2}));
  }
  void set_grad(float value) {
    first.mutable_grad() = at::ones({2});
    second.mutable_grad() = at::full({2}, value);
  }
  at::Tensor first, second;
};

class GuardTest : public ToyTest {
 protected:
  GuardTest() { batch_.images = at::zeros({2, 3, 4, 4}); }
  Evidence evidence() { return {net_, batch_, fakes_, loss_}; }
  void step(NonfiniteGuard& guard, int64_t step, float gradient) {
    net_.set_grad(gradient);
    optimizer_.step(0.1);
    guard.count(optimizer_);
    guard.check(step, optimizer_, evidence());
  }

  TwoVectors net_;
  Optimizer optimizer_{net_, config::defaults<run::OptimizerConfig>()};
  recipes::Batch batch_;
  at::Tensor fakes_ = at::zeros({1, 2, 3, 4, 4});
  recipes::Loss loss_{at::tensor(0.5f), {{"adversarial", at::tensor(0.25f)}, {"r1", at::tensor({0.5f, 1.5f})}}};
};

TEST_F(GuardTest, CountsAndStopsAfterTooManyInARow) {
  NonfiniteGuard guard("generator", 3, at::kCPU);
  for (const auto& [at, gradient] : {std::pair(1, 1.f), {2, kNan}, {3, kNan}, {4, 1.f}, {5, kNan}, {6, kNan}})
    step(guard, at, gradient);
  EXPECT_EQ(guard.skipped(), 4);
  EXPECT_EQ(guard.state(), nlohmann::json({4, 2}));
  const std::string error = error_of<Error>([&] { step(guard, 7, kNan); });
  EXPECT_THAT(error, HasSubstr("step 7: the gradient of the generator was not finite in 3 steps in a row"));
  EXPECT_THAT(error, HasSubstr("adversarial 0.25, r1 1"));
  EXPECT_THAT(error, HasSubstr("gradient of second"));
}

TEST_F(GuardTest, GoesOnCountingAfterAResume) {
  NonfiniteGuard guard("generator", 3, at::kCPU);
  guard.load_state({9, 2});
  EXPECT_EQ(guard.skipped(), 9);
  EXPECT_THROW(step(guard, 100, kNan), Error);
}

TEST_F(GuardTest, DiagnosisNamesTheFirstBadTensor) {
  net_.set_grad(1);
  EXPECT_THAT(diagnose(evidence()), HasSubstr("none on this rank"));
  net_.set_grad(kNan);
  EXPECT_THAT(diagnose(evidence()), HasSubstr("gradient of second"));
  loss_.terms[1].second[1] = kNan;
  EXPECT_THAT(diagnose(evidence()), HasSubstr("not finite: loss term r1"));
  fakes_[0][1][2][3][3] = kNan;
  EXPECT_THAT(diagnose(evidence()), HasSubstr("the generated images"));
  at::NoGradGuard no_grad;
  net_.first[0] = kNan;
  EXPECT_THAT(diagnose(evidence()), HasSubstr("weight first"));
  batch_.images[1][0][0][0] = kNan;
  EXPECT_THAT(diagnose(evidence()), HasSubstr("the real images"));
}

}  // namespace
}  // namespace gigacat::train
