#include "gigacat/losses/text_image.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "gigacat/core/random.h"

namespace gigacat::losses {
namespace {

std::vector<float> keys(size_t count, uint64_t step) {
  std::vector<float> out(count);
  Stream(1, "keys").uniform(step, 0, out);
  return out;
}

TEST(Derange, GivesNobodyTheirOwnCaption) {
  const std::vector<std::string> captions{"a", "b", "a", "c", "a", "d", "b", "e"};
  std::vector<int64_t> first;
  bool varies = false;
  for (uint64_t step = 0; step < 50; ++step) {
    const auto order = derange(captions, keys(captions.size(), step));
    EXPECT_TRUE(is_derangement(captions, order)) << step;
    varies = varies || (!first.empty() && order != first);
    first = order;
  }
  EXPECT_TRUE(varies);
}

TEST(Derange, IsAPermutationWhereNoDerangementExists) {
  for (const std::vector<std::string>& captions :
       {std::vector<std::string>{"a", "a", "a", "b"}, std::vector<std::string>{"a"}}) {
    auto order = derange(captions, keys(captions.size(), 0));
    EXPECT_FALSE(is_derangement(captions, order));
    std::sort(order.begin(), order.end());
    for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], static_cast<int64_t>(i));
  }
}

TEST(Mismatch, LeavesOutWhatDoesNotCount) {
  const at::Tensor logits = at::arange(4, at::kFloat).view({4, 1, 1, 1});
  const at::Tensor some = logistic_mismatch(logits, at::tensor({2.0f, 0.0f, 0.0f, 2.0f}));
  EXPECT_NEAR(some.item<double>(), (at::softplus(logits[0]) + at::softplus(logits[3])).item<double>() / 2, 1e-6);
  EXPECT_EQ(logistic_mismatch(logits, at::zeros({4})).item<double>(), 0);
}

}  // namespace
}  // namespace gigacat::losses
