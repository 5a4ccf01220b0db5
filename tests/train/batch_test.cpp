#include "train/batch.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cstring>

#include "gigacat/core/error.h"
#include "train/fixtures.h"

namespace gigacat::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// B rows of [C, 2, 2] whose values count up.
template <class T>
data::HostBatch host_batch(data::Content content, int64_t count, int64_t channels) {
  data::HostBatch host;
  host.step = 3;
  host.count = count;
  host.content = content;
  host.channels = channels;
  host.height = host.width = 2;
  auto values = std::make_shared<std::vector<T>>(static_cast<size_t>(count * channels * 4));
  for (size_t i = 0; i < values->size(); ++i) (*values)[i] = static_cast<T>(i % 250);
  host.values = std::shared_ptr<void>(values, values->data());
  host.bytes = values->size() * sizeof(T);
  for (int64_t i = 0; i < count; ++i) {
    host.labels.push_back(i % 2);
    host.positions.push_back(100 + i);
    host.indices.push_back(i);
    host.captions.push_back(cat("caption ", i));
  }
  return host;
}

TEST(Batch, BytesBecomeImagesBetweenMinusOneAndOne) {
  auto host = host_batch<uint8_t>(data::Content::image, 2, 3);
  static_cast<uint8_t*>(host.values.get())[0] = 255;
  const auto parts = to_device(std::move(host), {.num_classes = 2});
  ASSERT_EQ(parts.size(), 1u);
  const recipes::Batch& batch = parts[0].batch;
  EXPECT_EQ(batch.images.sizes(), at::IntArrayRef({2, 3, 2, 2}));
  EXPECT_EQ(batch.images[0][0][0][0].item<float>(), 1);
  EXPECT_NEAR(batch.images[0][0][0][1].item<float>(), 1 / 127.5 - 1, 1e-6);
  EXPECT_EQ(batch.raw.scalar_type(), at::kByte);
  EXPECT_EQ(batch.raw[0][0][0][1].item<int>(), 1);
  EXPECT_EQ(batch.step, 3);
  EXPECT_EQ(batch.draws, parts[0].draws.get());
}

TEST(Batch, PartsAreRunsOfRows) {
  const auto parts = to_device(host_batch<uint8_t>(data::Content::pixels, 6, 1), {.parts = 2, .num_classes = 2});
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_THAT(parts[1].batch.captions, ElementsAre("caption 3", "caption 4", "caption 5"));
  EXPECT_TRUE(parts[1].batch.labels.equal(at::tensor({1, 0, 1}, at::kLong)));
  EXPECT_NEAR(parts[1].batch.images[1][0][0][0].item<float>(), 16 / 127.5 - 1, 1e-6);  // row 4
  EXPECT_FALSE(parts[0].batch.raw.defined());
  EXPECT_EQ(parts[1].batch.first, 3);
  EXPECT_EQ(parts[1].batch.whole, parts[0].batch.whole);
  ASSERT_TRUE(parts[0].batch.whole);
  EXPECT_EQ(parts[0].batch.whole->captions.size(), 6u);
  EXPECT_TRUE(
      parts[0].batch.whole->draws.normal("z", {}, {4}).narrow(0, 3, 3).equal(parts[1].draws->normal("z", {}, {4})));
  // Draws belong to the sample's place, not to its part.
  const auto whole = to_device(host_batch<uint8_t>(data::Content::pixels, 6, 1), {.num_classes = 2});
  const at::Tensor all = whole[0].draws->normal("z", {}, {4});
  EXPECT_TRUE(parts[1].draws->normal("z", {}, {4}).equal(all.narrow(0, 3, 3)));
}

TEST(Batch, LatentsAreShiftedAndScaled) {
  const auto parts = to_device(host_batch<float>(data::Content::latent, 1, 4),
                               {.num_classes = 2, .latent_scale = 0.5, .latent_shift = 2});
  EXPECT_TRUE(parts[0].batch.images.flatten().allclose((at::arange(16.0f) - 2) * 0.5));
  EXPECT_FALSE(parts[0].batch.raw.defined());
}

TEST(Batch, MomentsGiveAFreshSample) {
  const BatchOptions options{.seed = 5, .num_classes = 2, .latent_scale = 0.5};
  const auto draw = [&](int64_t step) {
    auto host = host_batch<float>(data::Content::moments, 2, 4);
    host.step = step;
    return to_device(std::move(host), options)[0].batch.images;
  };
  const at::Tensor images = draw(3);
  EXPECT_EQ(images.sizes(), at::IntArrayRef({2, 2, 2, 2}));
  const at::Tensor noise = nn::StreamDraws(5, 3, {100, 101}, at::kCPU).normal("data.moments", {}, {2, 2, 2});
  const at::Tensor moments = at::arange(32.0f).view({2, 4, 2, 2});
  EXPECT_TRUE(images.allclose(0.5 * (moments.narrow(1, 0, 2) + moments.narrow(1, 2, 2) * noise)));
  EXPECT_FALSE(images.equal(draw(4)));
  EXPECT_TRUE(images.equal(draw(3)));
}

TEST(Batch, FeaturesAndImagesBesideLatents) {
  auto host = host_batch<float>(data::Content::latent, 2, 4);
  host.features.assign(2 * 3 * 5, 1.5f);
  host.feature_tokens = 3;
  host.feature_width = 5;
  host.raw.assign(2 * 3 * 4 * 4, 9);
  host.raw_size = 4;
  const auto parts = to_device(std::move(host), {.parts = 2, .num_classes = 2});
  EXPECT_EQ(parts[1].batch.features.sizes(), at::IntArrayRef({1, 3, 5}));
  EXPECT_EQ(parts[1].batch.raw.sizes(), at::IntArrayRef({1, 3, 4, 4}));
  EXPECT_EQ(parts[1].batch.raw.sum().item<int64_t>(), 9 * 48);
}

TEST(Batch, LabelsOutsideTheClassesAreRefused) {
  auto host = host_batch<uint8_t>(data::Content::image, 2, 3);
  host.labels[1] = 7;
  EXPECT_THAT(error_of<Error>([&] { to_device(std::move(host), {.num_classes = 2}); }),
              HasSubstr("sample 1 of the data has label 7, but data.num_classes is 2"));
}

TEST(Batch, HostMemoryLivesAsLongAsItsTensors) {
  auto host = host_batch<uint8_t>(data::Content::image, 2, 3);
  const std::weak_ptr<void> memory = host.values;
  auto parts = to_device(std::move(host), {.num_classes = 2});
  EXPECT_FALSE(memory.expired());
  parts.clear();
  EXPECT_TRUE(memory.expired());
}

}  // namespace
}  // namespace gigacat::train
