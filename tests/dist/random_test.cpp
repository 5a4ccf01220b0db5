// The CUDA module's arithmetic, compiled for this processor, against core/random.h: equal to the bit.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "cuda/random_device.h"
#include "gigacat/core/random.h"

namespace gigacat {
namespace {

template <class Fill>
std::vector<float> by_blocks(const Stream& stream, uint64_t step, uint64_t sample, size_t count, Fill fill) {
  std::vector<float> out;
  for (uint32_t block = 0; out.size() < count; ++block) {
    float four[4];
    fill(device::step_key(stream.key(), step), sample, block, four);
    out.insert(out.end(), four, four + 4);
  }
  out.resize(count);
  return out;
}

void expect_equal(const Stream& stream, uint64_t step, uint64_t sample, size_t count) {
  std::vector<float> normal(count), uniform(count);
  stream.normal(step, sample, normal);
  stream.uniform(step, sample, uniform);
  EXPECT_EQ(by_blocks(stream, step, sample, count, device::normal_block), normal);
  EXPECT_EQ(by_blocks(stream, step, sample, count, device::uniform_block), uniform);
}

TEST(DeviceRandom, EqualsTheStreams) {
  expect_equal(Stream(0, "z"), 0, 0, 100'000);
  expect_equal(Stream(7, "d.aug.fake.colour"), 123'456, 99, 1001);
  expect_equal(Stream(std::numeric_limits<uint64_t>::max(), "mng"), uint64_t{1} << 40, (uint64_t{1} << 33) + 5, 17);
  for (uint64_t sample = 0; sample < 50; ++sample) expect_equal(Stream(1, "z"), sample * 3, sample, 259);
}

}  // namespace
}  // namespace gigacat
