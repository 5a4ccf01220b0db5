#include "data/order.h"

#include <gtest/gtest.h>

#include <set>

#include "gigacat/core/error.h"

namespace gigacat::data {
namespace {

TEST(Order, EveryEpochHoldsEverySampleOnce) {
  for (const int64_t size : {1, 2, 7, 100, 1000}) {
    const Order order(3, size);
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::set<int64_t> seen;
      for (int64_t i = 0; i < size; ++i) seen.insert(order(epoch * size + i));
      EXPECT_EQ(static_cast<int64_t>(seen.size()), size);
      EXPECT_EQ(*seen.begin(), 0);
      EXPECT_EQ(*seen.rbegin(), size - 1);
    }
  }
}

TEST(Order, DependsOnSeedAndEpoch) {
  const Order order(3, 1000), same(3, 1000), other(4, 1000);
  int64_t equal_seed = 0, equal_epoch = 0, equal_place = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(order(i), same(i));
    equal_seed += order(i) == other(i);
    equal_epoch += order(i) == order(1000 + i);
    equal_place += order(i) == i;
  }
  EXPECT_LT(equal_seed, 20);
  EXPECT_LT(equal_epoch, 20);
  EXPECT_LT(equal_place, 20);
}

TEST(Order, RefusesNonsense) {
  EXPECT_THROW(Order(0, 0), InternalError);
  EXPECT_THROW(Order(0, 5)(-1), InternalError);
}

}  // namespace
}  // namespace gigacat::data
