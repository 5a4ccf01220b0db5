#include "gigacat/dist/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/device_random.h"
#include "gigacat/core/error.h"

namespace gigacat::dist {
namespace {

TEST(Device, CpuByName) {
  EXPECT_TRUE(choose_device("cpu", 0).is_cpu());
  EXPECT_TRUE(choose_device("cpu", 7).is_cpu());
}

TEST(Device, UnknownNamesAreUsageErrors) {
  for (const char* name : {"", "gpu", "cuda0", "cuda:", "cuda:x", "cuda:-1", "cuda:1 ", "cuda:99999999999", "CPU"})
    EXPECT_THROW(choose_device(name, 0), UsageError) << name;
}

// On a machine without a GPU all of it says why and nothing breaks.
class WithoutGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (visible_gpus() > 0) GTEST_SKIP() << "this machine has a GPU";
  }
};

TEST_F(WithoutGpu, AutoIsTheCpu) { EXPECT_TRUE(choose_device("auto", 0).is_cpu()); }

TEST_F(WithoutGpu, ReasonIsGiven) {
  EXPECT_THAT(cuda_problem(), testing::HasSubstr("driver"));
  try {
    choose_device("cuda:0", 0);
    FAIL() << "no error";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(cuda_problem()));
  }
}

TEST_F(WithoutGpu, NothingIsLoaded) {
  EXPECT_THROW(load_cuda_module(), Error);
  EXPECT_FALSE(cuda_loaded());
  EXPECT_THROW(cuda_symbol("gigacat_make_nccl_group"), Error);
  EXPECT_THROW(device_normal(Stream(0, "z"), 0, at::Tensor(), 4), Error);
}

class WithGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_problem().empty()) GTEST_SKIP() << cuda_problem();
  }
};

TEST_F(WithGpu, DrawsEqualTheCpus) {
  const at::Device device = choose_device("cuda", 0);
  const Stream stream(3, "z");
  const at::Tensor positions = at::tensor({int64_t{5}, int64_t{1} << 40, int64_t{0}}).to(device);
  for (const bool normal : {true, false}) {
    const at::Tensor out = (normal ? device_normal : device_uniform)(stream, 9, positions, 1001).cpu();
    for (int64_t i = 0; i < 3; ++i) {
      at::Tensor expected = at::empty({1001}, at::kFloat);
      const std::span<float> values(expected.data_ptr<float>(), 1001);
      const auto sample = static_cast<uint64_t>(positions[i].item<int64_t>());
      normal ? stream.normal(9, sample, values) : stream.uniform(9, sample, values);
      EXPECT_TRUE(out[i].equal(expected));
    }
  }
}

}  // namespace
}  // namespace gigacat::dist
