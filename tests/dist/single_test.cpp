// A group of one means the same as a large one.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include "gigacat/core/error.h"
#include "gigacat/dist/group.h"

namespace gigacat::dist {
namespace {

std::shared_ptr<Group> single() { return Group::create(Environment{}, at::kCPU); }

TEST(SingleGroup, LeavesValuesAsTheyAre) {
  const auto group = single();
  EXPECT_EQ(group->rank(), 0);
  EXPECT_EQ(group->size(), 1);
  EXPECT_TRUE(group->is_first());
  EXPECT_FALSE(group->native());
  at::Tensor value = at::arange(6, at::kFloat);
  for (const Reduce op : {Reduce::sum, Reduce::mean, Reduce::max, Reduce::min}) group->all_reduce(value, op, "value");
  group->broadcast(value, 0, "value");
  group->barrier("end");
  EXPECT_TRUE(value.equal(at::arange(6, at::kFloat)));
  EXPECT_EQ(group->sum(2.5, "number"), 2.5);
  EXPECT_EQ(group->broadcast_text("text", "text"), "text");
}

TEST(SingleGroup, GathersACopyWithoutGradient) {
  const auto group = single();
  const at::Tensor leaf = at::ones({2, 3}).requires_grad_();
  at::Tensor rows = group->all_gather(leaf, "rows");
  EXPECT_FALSE(rows.requires_grad());
  rows.zero_();
  EXPECT_TRUE(leaf.eq(1).all().item<bool>());
  EXPECT_EQ(group->all_gather(at::scalar_tensor(3), "scalar").sizes(), at::IntArrayRef({1}));
}

TEST(SingleGroup, RefusesWhatALargeGroupRefuses) {
  const auto group = single();
  at::Tensor whole = at::ones({2}, at::kLong);
  EXPECT_THROW(group->all_reduce(whole, Reduce::mean, "value"), InternalError);
  EXPECT_THROW(group->broadcast(whole, 1, "value"), InternalError);
}

TEST(SingleGroup, ReducerDoesNothing) {
  const at::Tensor weight = at::full({3}, 2.0).requires_grad_();
  GradientReducer reducer(single(), {weight});
  reducer.no_sync();
  weight.sum().backward();
  reducer.backward(weight.square().sum());
  EXPECT_TRUE(weight.grad().eq(5).all().item<bool>());
}

TEST(SingleGroup, ReducerRefusesFrozenParameters) {
  EXPECT_THROW(GradientReducer(single(), {at::ones({2})}), InternalError);
  EXPECT_THROW(GradientReducer(single(), {at::ones({2}).requires_grad_()}, 25, false, false, {"a", "b"}),
               InternalError);
  EXPECT_THROW(GradientReducer(single(), {at::ones({2}).requires_grad_()}, 0), InternalError);
}

TEST(SingleGroup, BackendsThatCannotBe) {
  EXPECT_THROW(Group::create(Environment{}, at::kCPU, {.backend = "mpi"}), UsageError);
  EXPECT_THROW(Group::create(Environment{}, at::kCPU, {.backend = "nccl"}), UsageError);
}

}  // namespace
}  // namespace gigacat::dist
