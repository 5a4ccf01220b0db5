#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/fixtures.h"
#include "gigacat/data/loader.h"
#include "gigacat/io/npy.h"

namespace gigacat::data {
namespace {

using testing::HasSubstr;

std::string npy_u8(const std::vector<int64_t>& shape, const std::string& values) {
  return io::npy_header("|u1", shape) + values;
}

std::string npy_i64(const std::vector<int64_t>& values) {
  const std::vector<int64_t> shape = {static_cast<int64_t>(values.size())};
  return io::npy_header("<i8", shape)
      .append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int64_t));
}

// Two images of 4 x 4 whose pixels are all 10 and all 20.
std::string two_images() { return npy_u8({2, 4, 4, 3}, std::string(48, '\x0a') + std::string(48, '\x14')); }

TEST(Npz, ImagesAndLabels) {
  TempFolder folder;
  const std::string file =
      folder.write("set.npz", zip_of({{"arr_0.npy", two_images()}, {"arr_1.npy", npy_i64({7, 2})}}, folder.path()));
  const DataConfig config = config_for(file);
  std::shared_ptr<const Source> source = open_source(config);
  EXPECT_EQ(source->content(), Content::pixels);
  EXPECT_EQ(source->label(0), 7);
  Loader loader(source, config, {.global_batch = 2});
  const HostBatch batch = loader.next();
  ASSERT_EQ(batch.bytes, 2u * 3 * 8 * 8);
  for (int64_t i = 0; i < 2; ++i) {
    const auto* planes = static_cast<const uint8_t*>(batch.values.get()) + i * 192;
    EXPECT_EQ(planes[100], batch.indices[i] == 0 ? 10 : 20);
    EXPECT_EQ(batch.labels[i], batch.indices[i] == 0 ? 7 : 2);
  }
}

TEST(Npz, GreyBecomesRgb) {
  TempFolder folder;
  const std::string file =
      folder.write("set.npz", zip_of({{"arr_0.npy", npy_u8({1, 8, 8, 1}, std::string(64, 'A'))}}, folder.path()));
  const DataConfig config = config_for(file);
  Loader loader(open_source(config), config, {.global_batch = 1});
  const HostBatch batch = loader.next();
  EXPECT_EQ(std::string(static_cast<const char*>(batch.values.get()), 192), std::string(192, 'A'));
}

TEST(Npz, FloatLatents) {
  TempFolder folder;
  const std::string file = folder.write(
      "set.npz", zip_of({{"arr_0.npy", npy_f32({2, 2, 1, 3}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})}}, folder.path()));
  DataConfig config = config_for(file, 0);
  config.channels = 2;
  config.height = 1;
  config.width = 3;
  std::shared_ptr<const Source> source = open_source(config);
  EXPECT_EQ(source->content(), Content::latent);
  Loader loader(source, config, {.global_batch = 2});
  const HostBatch batch = loader.next();
  for (int64_t i = 0; i < 2; ++i)
    EXPECT_EQ(static_cast<const float*>(batch.values.get())[i * 6 + 5], batch.indices[i] == 0 ? 5 : 11);
}

TEST(Npz, WrongContentIsRefused) {
  TempFolder folder;
  const auto error = [&](const Members& members) {
    const std::string file = folder.write("bad.npz", zip_of(members, folder.path()));
    return error_of<Error>([&] { open_source(config_for(file)); });
  };
  EXPECT_THAT(error({{"x.npy", two_images()}}), HasSubstr("it holds x.npy"));
  EXPECT_THAT(error({{"arr_0.npy", npy_u8({2, 4, 4, 4}, std::string(128, 'x'))}}), HasSubstr("[2, 4, 4, 4]"));
  EXPECT_THAT(error({{"arr_0.npy", npy_u8({0, 4, 4, 3}, "")}}), HasSubstr("[0, 4, 4, 3]"));
  EXPECT_THAT(error({{"arr_0.npy", npy_i64({1})}}), HasSubstr("wanted uint8"));
  EXPECT_THAT(error({{"arr_0.npy", two_images()}, {"arr_1.npy", npy_i64({1})}}), HasSubstr("one label for each"));
  EXPECT_THAT(error({{"arr_0.npy", two_images()}, {"arr_1.npy", npy_i64({1, -1})}}), HasSubstr("no label"));
  EXPECT_NE(error({{"arr_0.npy", two_images().substr(0, 150)}}), "");
  EXPECT_NE(error({{"arr_0.npy", ""}}), "");
}

}  // namespace
}  // namespace gigacat::data
