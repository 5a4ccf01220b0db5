// Work on a GPU that does not end, as a host sees it: without a GPU, and with a store in this process.
#include "dist/hang_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>

namespace gigacat::dist {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class HangDetectorTest : public testing::Test {
 protected:
  std::unique_ptr<HangDetector> detector(int rank) {
    return std::make_unique<HangDetector>(
        store_,
        HangDetector::Options{.rank = rank, .size = 2, .timeout = 1s, .on_hang = [this](const std::string& text) {
                                if (!said_.exchange(true)) message_.set_value(text);
                              }});
  }
  c10::intrusive_ptr<c10d::HashStore> store_ = c10::make_intrusive<c10d::HashStore>();
  std::atomic<bool> said_ = false;
  std::promise<std::string> message_;
};

TEST_F(HangDetectorTest, NamesTheRankThatDoesNotCome) {
  const auto waits = detector(0), elsewhere = detector(1);
  waits->watch("gradients of G", [] { return false; });
  auto message = message_.get_future();
  ASSERT_EQ(message.wait_for(20s), std::future_status::ready);
  EXPECT_THAT(message.get(), AllOf(HasSubstr("gradients of G failed on rank 0 after 1 s: rank 1 has not come"),
                                   Not(HasSubstr("rank 0 has"))));
}

TEST_F(HangDetectorTest, NamesTheRankThatIsGone) {
  const auto waits = detector(0);
  waits->watch("gradients of G", [] { return false; });
  auto message = message_.get_future();
  ASSERT_EQ(message.wait_for(20s), std::future_status::ready);
  EXPECT_THAT(message.get(), HasSubstr("rank 1 has ended or does not answer"));
}

TEST_F(HangDetectorTest, LeavesWorkThatEndsInPeace) {
  const auto waits = detector(0), elsewhere = detector(1);
  const auto end = std::chrono::steady_clock::now() + 600ms;
  for (int i = 0; i < 3; ++i) waits->watch("gradients", [=] { return std::chrono::steady_clock::now() > end; });
  EXPECT_EQ(message_.get_future().wait_for(3s), std::future_status::timeout);
}

}  // namespace
}  // namespace gigacat::dist
