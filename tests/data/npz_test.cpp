#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

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

// A batch of one sample of an array file, as text of its first plane and the next.
std::string batch_of(const std::string& file, int64_t size) {
  const DataConfig config = config_for(file, size);
  Loader loader(open_source(config), config, {.global_batch = 1});
  const HostBatch batch = loader.next();
  return {static_cast<const char*>(batch.values.get()), batch.bytes};
}

// clean-fid#52, pytorch-fid#63: pictures as floats, channels first or last, are the pictures that they are.
TEST(Npz, ImagesAsPeopleSaveThem) {
  TempFolder folder;
  const std::vector<uint8_t> bytes = {0, 51, 255, 102, 204, 153, 1, 2, 3, 254, 128, 127};  // [2, 2, 3]
  std::vector<float> unit(12), symmetric(12), whole(12), first(12);
  std::string planes(12, '\0');
  for (size_t i = 0; i < 12; ++i) {
    const size_t turned = i % 3 * 4 + i / 3;
    planes[turned] = static_cast<char>(bytes[i]);
    whole[i] = bytes[i];
    unit[i] = whole[i] / 255;
    symmetric[i] = whole[i] / 127.5f - 1;
    first[turned] = unit[i];
  }
  const std::string last_bytes(bytes.begin(), bytes.end());
  const std::map<std::string, std::string> arrays = {
      {"uint8 last", npy_u8({1, 2, 2, 3}, last_bytes)},     {"uint8 first", npy_u8({1, 3, 2, 2}, planes)},
      {"unit last", npy_f32({1, 2, 2, 3}, unit)},           {"unit first", npy_f32({1, 3, 2, 2}, first)},
      {"symmetric last", npy_f32({1, 2, 2, 3}, symmetric)}, {"whole last", npy_f32({1, 2, 2, 3}, whole)},
  };
  for (const auto& [what, npy] : arrays) {
    for (const auto& [member, name] : {std::pair("arr_0.npy", "a.npz"), std::pair("images.npy", "b.npz")})
      EXPECT_EQ(batch_of(folder.write(name, zip_of({{member, npy}}, folder.path())), 2), planes) << what << name;
    EXPECT_EQ(batch_of(folder.write("c.npy", npy), 2), planes) << what;
  }
  const std::string grey = folder.write("grey.npy", npy_f32({1, 2, 2}, {0, 1, 0.2f, 0.4f}));
  EXPECT_EQ(batch_of(grey, 2).substr(0, 4), std::string("\0\xff\x33\x66", 4));
  EXPECT_THAT(open_source(config_for(grey, 2))->format(),
              HasSubstr("float32 [1, 2, 2] in [0, 1]: images of 2x2, not latents"));
}

TEST(Npz, NumbersThatMayBeEitherAreRefused) {
  TempFolder folder;
  const std::string odd = folder.write("odd.npy", npy_f32({1, 3, 2, 2}, std::vector<float>(12, 1.5f)));
  DataConfig config = config_for(odd, 2);
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config); }), HasSubstr("data.kind=latents"));
  config.kind = "latents";
  EXPECT_EQ(open_source(config)->content(), Content::latent);
  EXPECT_THAT(open_source(config)->format(), HasSubstr("latents"));
  // What only later samples hold is no pixel either: the sample is bad.
  std::vector<float> values(4097 * 3, 0.5f);
  values[3 * 4096 + 1] = 7;
  const auto source = open_source(config_for(folder.write("late.npy", npy_f32({4097, 1, 1, 3}, values)), 1));
  EXPECT_EQ(source->read(0).bytes.size(), 3u);
  EXPECT_THAT(error_of<Error>([&] { source->read(4096); }), HasSubstr("outside in [0, 1]"));
}

TEST(Npz, WrongContentIsRefused) {
  TempFolder folder;
  const auto error = [&](const Members& members) {
    const std::string file = folder.write("bad.npz", zip_of(members, folder.path()));
    return error_of<Error>([&] { open_source(config_for(file)); });
  };
  EXPECT_THAT(error({{"x.npy", npy_i64({1})}, {"z.npy", npy_i64({1})}}), HasSubstr("wanted"));
  EXPECT_THAT(error({{"a.npy", npy_i64({1})}, {"b.npy", npy_i64({2})}}), HasSubstr("it holds a.npy, b.npy"));
  EXPECT_THAT(error({{"arr_0.npy", npy_u8({2, 4, 4, 4}, std::string(128, 'x'))}}), HasSubstr("[2, 4, 4, 4]"));
  EXPECT_THAT(error({{"arr_0.npy", npy_u8({0, 4, 4, 3}, "")}}), HasSubstr("[0, 4, 4, 3]"));
  EXPECT_THAT(error({{"arr_0.npy", npy_i64({1})}}), HasSubstr("wanted images, uint8"));
  EXPECT_THAT(error({{"arr_0.npy", two_images()}, {"arr_1.npy", npy_i64({1})}}), HasSubstr("one label for each"));
  EXPECT_THAT(error({{"arr_0.npy", two_images()}, {"arr_1.npy", npy_i64({1, -1})}}), HasSubstr("no label"));
  EXPECT_NE(error({{"arr_0.npy", two_images().substr(0, 150)}}), "");
  EXPECT_NE(error({{"arr_0.npy", ""}}), "");
}

}  // namespace
}  // namespace gigacat::data
