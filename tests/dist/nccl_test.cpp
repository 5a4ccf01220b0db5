// NCCL in a group of one rank: all that one GPU can show of it.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/process_group.h"
#include "dist/program.h"
#include "gigacat/dist/device.h"

namespace gigacat::dist {
namespace {

class Nccl : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_problem().empty()) GTEST_SKIP() << cuda_problem();
    device_ = choose_device("cuda", 0);
    Environment environment;
    environment.master_address = "127.0.0.1";
    environment.master_port = test::free_port();
    group_ = make_process_group(environment, device_, {.backend = "nccl"});
  }
  at::TensorOptions on_gpu() const { return at::TensorOptions(device_); }

  at::Device device_ = at::kCPU;
  std::shared_ptr<Group> group_;
};

TEST_F(Nccl, ExchangesTensorsOfTheGpuAndOfTheHost) {
  for (const at::Device device : {device_, at::Device(at::kCPU)}) {
    at::Tensor whole = at::arange(12, at::TensorOptions(device).dtype(at::kFloat)).view({3, 4}),
               column = whole.select(1, 2);
    const at::Tensor before = whole.clone();
    for (const Reduce op : {Reduce::sum, Reduce::mean, Reduce::max, Reduce::min})
      group_->all_reduce(column, op, "column");
    group_->broadcast(whole, 0, "whole");
    EXPECT_TRUE(whole.equal(before));
    EXPECT_TRUE(group_->all_gather(whole, "rows").equal(before));
  }
  EXPECT_EQ(group_->broadcast_text("a text", "text"), "a text");
  EXPECT_EQ(group_->sum(0.5, "number"), 0.5);
  group_->barrier("end");
}

TEST_F(Nccl, SendsWeights) {
  const at::Tensor weight = at::full({300, 7}, 3.0, on_gpu()), count = at::full({}, 5, on_gpu().dtype(at::kLong));
  broadcast_state(*group_, {weight, count, at::full({9}, 1.0, on_gpu().dtype(at::kBFloat16))}, "weights");
  EXPECT_TRUE(weight.eq(3).all().item<bool>());
  EXPECT_EQ(count.item<int64_t>(), 5);
}

TEST_F(Nccl, AveragesGradientsInBackward) {
  for (const bool bf16 : {false, true}) {
    std::vector<at::Tensor> weights;
    for (int i = 0; i < 4; ++i) weights.push_back(at::full({64, 64}, 0.01 * (i + 1), on_gpu()).requires_grad_(true));
    const auto loss = [&] {
      at::Tensor x = at::ones({8, 64}, on_gpu());
      for (const at::Tensor& weight : weights) x = at::tanh(x.matmul(weight));
      return x.square().mean();
    };
    loss().backward();
    std::vector<at::Tensor> expected;
    for (at::Tensor& weight : weights) {
      expected.push_back(weight.grad().clone());
      weight.mutable_grad() = at::Tensor();
    }
    GradientReducer reducer(group_, weights, /*bucket_mb=*/0.02, bf16);
    reducer.backward(loss());
    for (size_t i = 0; i < weights.size(); ++i)
      EXPECT_TRUE(at::allclose(weights[i].grad(), expected[i], bf16 ? 1e-2 : 1e-6, 1e-8)) << "bf16 " << bf16;
  }
}

}  // namespace
}  // namespace gigacat::dist
