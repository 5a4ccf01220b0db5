#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "data/fixtures.h"
#include "gigacat/data/loader.h"

namespace gigacat::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<float> ramp(int64_t count, float from) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), from);
  return values;
}

// REPA's layout: 4 latents of 2 * 2 channels, 2 x 3 cells.
void write_repa(const TempFolder& folder) {
  std::string labels;
  for (int i = 0; i < 4; ++i) {
    const std::string name = cat("00000/img-mean-std-0000000", i, ".npy");
    const std::vector<int64_t> shape = i % 2 == 0 ? std::vector<int64_t>{4, 2, 3} : std::vector<int64_t>{1, 4, 2, 3};
    folder.write("vae-sd/" + name, npy_f32(shape, ramp(24, static_cast<float>(100 * i))));
    folder.write(cat("images/00000/img0000000", i, ".png"), solid_png(16, 16, static_cast<uint8_t>(i)));
    labels += cat(i == 0 ? "" : ", ", "[\"", name, "\", ", i + 5, "]");
  }
  folder.write("vae-sd/dataset.json", cat("{\"labels\": [", labels, "]}"));
}

DataConfig latent_config(const std::string& path) {
  DataConfig config = config_for(path, 0);
  config.channels = 2;
  config.height = 2;
  config.width = 3;
  return config;
}

TEST(Latents, MomentsOfRepa) {
  TempFolder folder;
  write_repa(folder);
  const DataConfig config = latent_config(folder.path());
  std::shared_ptr<const Source> source = open_source(config);
  EXPECT_EQ(source->content(), Content::moments);
  ASSERT_EQ(source->size(), 4);
  EXPECT_EQ(source->label(3), 8);
  Loader loader(source, config, {.global_batch = 4});
  const HostBatch batch = loader.next();
  EXPECT_EQ(batch.channels, 4);
  EXPECT_EQ(batch.bytes, 4u * 24 * sizeof(float));
  const auto* values = static_cast<const float*>(batch.values.get());
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(values[i * 24 + 23], static_cast<float>(100 * batch.indices[i] + 23));
    EXPECT_EQ(batch.labels[i], batch.indices[i] + 5);
  }
  EXPECT_TRUE(batch.raw.empty());
}

TEST(Latents, ImagesBesideThem) {
  TempFolder folder;
  write_repa(folder);
  DataConfig config = latent_config(folder.path());
  config.raw_resolution = 8;
  Loader loader(open_source(config), config, {.global_batch = 4});
  const HostBatch batch = loader.next();
  EXPECT_EQ(batch.raw_size, 8);
  ASSERT_EQ(batch.raw.size(), 4u * 3 * 64);
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(batch.raw[i * 3 * 64 + 17], batch.indices[i]);
  fs::remove(folder.path("images/00000/img00000002.png"));
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config); }), HasSubstr("3 images for 4 latents"));
}

TEST(Latents, ShardsOfArrays) {
  TempFolder folder;
  Members members;
  for (int i = 0; i < 3; ++i) {
    members.emplace_back(cat(i, ".npy"), npy_f32({2, 2, 3}, ramp(12, static_cast<float>(i))));
    members.emplace_back(cat(i, ".png"), solid_png(16, 16, static_cast<uint8_t>(i)));
    members.emplace_back(cat(i, ".cls"), std::to_string(i));
  }
  DataConfig config = latent_config(folder.write("0.tar", tar_of(members, folder.path())));
  EXPECT_EQ(open_source(config)->content(), Content::image);
  config.kind = "latents";
  config.raw_resolution = 4;
  std::shared_ptr<const Source> source = open_source(config);
  EXPECT_EQ(source->content(), Content::latent);
  Loader loader(source, config, {.global_batch = 3});
  const HostBatch batch = loader.next();
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(static_cast<const float*>(batch.values.get())[i * 12], static_cast<float>(batch.indices[i]));
    EXPECT_EQ(batch.raw[i * 48], batch.indices[i]);
  }
}

TEST(Latents, WrongShapesAreRefusedAtOnce) {
  TempFolder folder;
  write_repa(folder);
  DataConfig config = latent_config(folder.path());
  config.channels = 3;
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config); }), HasSubstr("4 channels"));
  config.channels = 2;
  config.width = 2;
  EXPECT_THAT(error_of<UsageError>([&] { check_source(*open_source(config), config); }), HasSubstr("[4, 2, 3]"));
  config.width = 3;
  config.flip = true;
  EXPECT_THAT(error_of<UsageError>([&] { check_source(*open_source(config), config); }), HasSubstr("data.flip"));
}

TEST(Latents, BrokenOnesAreBadSamples) {
  TempFolder folder;
  write_repa(folder);
  std::vector<float> spoilt = ramp(24, 0);
  spoilt[3] = std::numeric_limits<float>::quiet_NaN();
  folder.write("vae-sd/00000/img-mean-std-00000000.npy", "");
  folder.write("vae-sd/00000/img-mean-std-00000001.npy", npy_f32({4, 2, 3}, spoilt));
  folder.write("vae-sd/00000/img-mean-std-00000002.npy", npy_f32({4, 2, 2}, ramp(16, 0)));
  DataConfig config = latent_config(folder.path());
  config.max_bad_fraction = 0.9;
  std::shared_ptr<const Source> source = open_source(config);
  // The shape is that of the first sample that can be read: number 1, whose fault is in its values.
  Loader loader(source, config, {.global_batch = 4});
  EXPECT_THAT(loader.next().indices, ElementsAre(3, 3, 3, 3));
  const LoaderReport report = loader.report();
  EXPECT_EQ(report.bad, 3);
  EXPECT_THAT(report.first_bad[1], HasSubstr("not finite"));
  EXPECT_THAT(report.first_bad[2], HasSubstr("[4, 2, 2]"));
}

TEST(Latents, FeaturesInAFolder) {
  TempFolder folder;
  write_repa(folder);
  for (int i = 0; i < 4; ++i)
    folder.write(cat("features/00000/img-mean-std-0000000", i, ".features.npy"),
                 npy_f32({1, 5, 2}, ramp(10, static_cast<float>(i))));
  DataConfig config = latent_config(folder.path());
  config.features = folder.path("features");
  Loader loader(open_source(config), config, {.global_batch = 4});
  const HostBatch batch = loader.next();
  EXPECT_EQ(batch.feature_tokens, 5);
  EXPECT_EQ(batch.feature_width, 2);
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(batch.features[i * 10 + 9], static_cast<float>(batch.indices[i] + 9));
}

}  // namespace
}  // namespace gigacat::data
