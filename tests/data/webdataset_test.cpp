#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/fixtures.h"
#include "data/webdataset/index.h"
#include "gigacat/core/files.h"

namespace gigacat::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Members two_samples() {
  return {{"000.png", solid_png(4, 4, 10)},   {"000.cls", "3\n"}, {"000.txt", "first"},
          {"001.PNG", solid_png(4, 4, 20)},   {"001.cls", "0"},   {"001.txt", "second"},
          {"001.json", R"({"alt": "other"})"}};
}

TEST(Webdataset, SamplesOfSeveralShards) {
  TempFolder folder;
  folder.write("a/0.tar", tar_of(two_samples(), folder.path()));
  folder.write("b/0.tar",
               tar_of({{"x/000.jpg", "not decoded here"}, {"x/000.cls", "1"}, {"x/000.txt", "third"}}, folder.path()));
  DataConfig config = config_for(folder.path());
  config.captions = true;
  const auto source = open_source(config);
  ASSERT_EQ(source->size(), 3);
  EXPECT_EQ(source->name(0), "a/0.tar/000");
  EXPECT_EQ(source->name(2), "b/0.tar/x/000");
  const RawSample sample = source->read(1);
  EXPECT_EQ(sample.name, "a/0.tar/001");
  EXPECT_EQ(sample.bytes, solid_png(4, 4, 20));
  EXPECT_EQ(sample.caption, "second");
  EXPECT_EQ(sample.label, 0);
  EXPECT_EQ(source->label(0), 3);
  EXPECT_EQ(source->read(2).bytes, "not decoded here");
  EXPECT_EQ(check_source(*source, config).num_classes, 4);
}

TEST(Webdataset, CaptionFromJson) {
  TempFolder folder;
  DataConfig config = config_for(folder.write("0.tar", tar_of(two_samples(), folder.path())));
  config.captions = true;
  config.caption_column = "alt";
  const auto source = open_source(config);
  EXPECT_EQ(source->read(1).caption, "other");
  EXPECT_THAT(error_of<Error>([&] { source->read(0); }), HasSubstr(".json"));
}

// webdataset#237, datasets#7144: "photo 2.5.png" is a sample with its own caption.
TEST(Webdataset, NamesWithDotsAreSamples) {
  TempFolder folder;
  Members members;
  for (const char* key : {"photo01", "photo 2.5", "photo 2.6", "22.00", "22.01", "v1.0/a.b"}) {
    members.emplace_back(cat(key, ".png"), cat("image of ", key));
    members.emplace_back(cat(key, ".txt"), cat("caption of ", key));
    members.emplace_back(cat(key, ".cls"), "4");
  }
  DataConfig config = config_for(folder.write("0.tar", tar_of(members, folder.path())));
  config.captions = true;
  const auto source = open_source(config);
  ASSERT_EQ(source->size(), 6);
  for (int64_t i = 0; i < 6; ++i) {
    const RawSample sample = source->read(i);
    EXPECT_EQ("image of " + sample.name.substr(6), sample.bytes);
    EXPECT_EQ("caption of " + sample.name.substr(6), sample.caption);
    EXPECT_EQ(sample.label, 4);
  }
  EXPECT_THAT(source->left_out(), testing::IsEmpty());
}

// webdataset#7: several images of a sample, told apart by a field; masks are no samples.
TEST(Webdataset, FieldsOfASampleAreNoSamples) {
  TempFolder folder;
  Members members;
  for (const char* key : {"7", "8"})
    for (const char* field : {"depth.png", "image.png", "txt"}) members.emplace_back(cat(key, ".", field), field);
  const auto source = open_source(config_for(folder.write("0.tar", tar_of(members, folder.path()))));
  ASSERT_EQ(source->size(), 2);
  EXPECT_EQ(source->name(1), "0.tar/8");
  EXPECT_EQ(source->read(1).bytes, "image.png");
  EXPECT_THAT(reasons_of(source->left_out()), HasSubstr("such as .depth.png: 2, such as 0.tar/7.depth.png"));
}

// webdataset#286 (twice the same name) and pictures that no reader takes: none goes without a word.
TEST(Webdataset, EveryPictureIsASampleOrNamed) {
  TempFolder folder;
  const auto source = open_source(config_for(folder.write("0.tar", tar_of({{"a.png", "A"},
                                                                           {"a.jpg", "second"},
                                                                           {"a.seg.png", "mask"},
                                                                           {"b.gif", "GIF89a"},
                                                                           {"c.image", solid_png(2, 2, 0)},
                                                                           {"d", solid_png(2, 2, 0)},
                                                                           {"e.bin", "no picture"},
                                                                           {"__MACOSX/._a.png", "apple"},
                                                                           {".DS_Store", "apple"}},
                                                                          folder.path()))));
  EXPECT_EQ(source->size(), 1);
  const std::string reasons = reasons_of(source->left_out());
  EXPECT_THAT(reasons, HasSubstr("second images of a key, of which the first counts: 1, such as 0.tar/a.jpg"));
  EXPECT_THAT(reasons, HasSubstr("such as .seg.png: 1, such as 0.tar/a.seg.png"));
  EXPECT_THAT(reasons,
              HasSubstr("end in .gif, which is not read (convert them to PNG or JPEG): 1, such as 0.tar/b.gif"));
  EXPECT_THAT(reasons, HasSubstr("pictures by content"));
  EXPECT_THAT(reasons, HasSubstr(": 2, such as 0.tar/c.image"));
  EXPECT_EQ(source->left_out().size(), 4u) << reasons;
}

TEST(Webdataset, CompressedShardsAreNamed) {
  TempFolder folder;
  const std::string tar = tar_of(two_samples(), folder.path());
  for (const char* name : {"packed/0.tar.gz", "packed/1.tgz", "mixed/0.tar", "mixed/1.tar.zst"})
    folder.write(name, tar);
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(folder.path("packed"))); }),
              HasSubstr("unpack them: gunzip 0.tar.gz"));
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(folder.path("packed/1.tgz"))); }),
              HasSubstr("is compressed"));
  const auto source = open_source(config_for(folder.path("mixed")));
  EXPECT_EQ(source->size(), 2);
  EXPECT_THAT(reasons_of(source->left_out()), HasSubstr("compressed shards (zstd -d FILE): 1, such as 1.tar.zst"));
}

TEST(Webdataset, EveryPackerHasItsCommand) {
  for (const auto& [ending, command] : {std::pair("gz", "gunzip"),
                                        {"zst", "zstd -d"},
                                        {"xz", "unxz"},
                                        {"bz2", "bunzip2"},
                                        {"lz4", "lz4 -d"},
                                        {"br", "brotli -d"},
                                        {"Z", "uncompress"},
                                        {"lzma", "unlzma"}}) {
    TempFolder folder;
    const std::string name = std::string("d.tar.") + ending;
    folder.write("only/" + name, "packed");
    EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(folder.path("only"))); }),
                HasSubstr(std::string("unpack them: ") + command + " " + name));
  }
}

TEST(Webdataset, PatternOfImagesIsNamed) {
  TempFolder folder;
  folder.write("0.png", solid_png(2, 2, 0));
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(folder.path("*.png"))); }),
              HasSubstr("give the folder that holds them"));
}

TEST(Webdataset, KeysEndAtTheFirstDot) {
  TempFolder folder;
  const std::string shard = folder.write("0.tar", tar_of({{"v1.0/c.seg.png", "x"},  // a field of c: not read
                                                          {"v1.0/c.png", "image"},  // key v1.0/c
                                                          {"._c.png", "resource"},  // macOS
                                                          {"noending", "x"},
                                                          {"v1.0/c.jpg", "second"},  // the first image counts
                                                          {"v1.0/c.cls", "5"}},
                                                         folder.path()));
  const ShardIndex index = build_shard_index(shard);
  ASSERT_EQ(index.keys.size(), 1u);
  EXPECT_EQ(index.keys[0], "v1.0/c");
  EXPECT_EQ(index.parts[kImage][0].size, 5u);
  EXPECT_THAT(index.labels, ElementsAre(5));
}

TEST(Webdataset, MembersNeedNotBeAdjacent) {
  TempFolder folder;
  const std::string shard =
      folder.write("0.tar", tar_of({{"a.cls", "1"}, {"b.cls", "2"}, {"b.png", "B"}, {"a.png", "A"}}, folder.path()));
  const auto source = open_source(config_for(shard));
  ASSERT_EQ(source->size(), 2);
  EXPECT_EQ(source->read(0).bytes, "A");
  EXPECT_EQ(source->label(0), 1);
  EXPECT_EQ(source->read(1).bytes, "B");
}

TEST(Webdataset, UnusableKeysAreCounted) {
  TempFolder folder;
  const std::string shard = folder.write("0.tar", tar_of({{"a.txt", "caption alone"},
                                                          {"b.png", "B"},
                                                          {"b.cls", "cat"},
                                                          {"c.png", "C"},
                                                          {"d.png", "D"},
                                                          {"d.cls", "-4"}},
                                                         folder.path()));
  const ShardIndex index = build_shard_index(shard);
  EXPECT_EQ(index.keys.size(), 1u);
  ASSERT_EQ(index.left_out.size(), 2u);
  EXPECT_THAT(index.left_out[0].text(), HasSubstr("keys that have no image"));
  EXPECT_THAT(index.left_out[1].text(), HasSubstr("keys that have a .cls that is no class number: 2, such as b"));
}

TEST(Webdataset, TruncatedShardKeepsItsWholeMembers) {
  TempFolder folder;
  const std::string whole = tar_of(two_samples(), folder.path());
  const std::string shard = folder.write("0.tar", std::string_view(whole).substr(0, 3 * 1024 + 512 + 20));
  const auto source = open_source(config_for(shard));
  EXPECT_EQ(source->size(), 1);
  EXPECT_EQ(source->read(0).bytes, solid_png(4, 4, 10));
}

TEST(Webdataset, BrokenShardsFailPastTheFraction) {
  TempFolder folder;
  for (int i = 0; i < 3; ++i) folder.write(cat(i, ".tar"), tar_of(two_samples(), folder.path()));
  folder.write("3.tar", std::string(4096, 'x'));
  DataConfig config = config_for(folder.path());
  EXPECT_THAT(error_of<Error>([&] { open_source(config); }), HasSubstr("3.tar"));
  config.max_bad_fraction = 0.25;
  EXPECT_EQ(open_source(config)->size(), 6);
}

TEST(Webdataset, ShardsWithoutSamplesAreRefused) {
  TempFolder folder;
  const std::string shard = folder.write("0.tar", tar_of({{"a.txt", "x"}}, folder.path()));
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(shard)); }), HasSubstr("hold no image"));
}

TEST(Webdataset, ShardThatShrinksIsAnErrorOfTheSample) {
  TempFolder folder;
  const std::string shard = folder.write("0.tar", tar_of(two_samples(), folder.path()));
  const auto source = open_source(config_for(shard));
  fs::resize_file(shard, 600);
  EXPECT_THAT(error_of<Error>([&] { source->read(1); }), HasSubstr("0.tar ends at"));
}

class ShardCache : public testing::Test {
 protected:
  std::string cached_file() const {
    for (const auto& entry : fs::directory_iterator(folder_.path("cache/shards"))) return entry.path().string();
    return "";
  }
  bool load() {
    bool cached = false;
    index_ = load_shard_index(shard_, folder_.path("cache"), &cached);
    return cached;
  }
  TempFolder folder_;
  std::string shard_ = folder_.write("0.tar", tar_of(two_samples(), folder_.path()));
  ShardIndex index_;
};

TEST_F(ShardCache, HoldsTheSameIndex) {
  EXPECT_FALSE(load());
  const ShardIndex first = index_;
  EXPECT_TRUE(load());
  ASSERT_EQ(index_.keys.size(), 2u);
  EXPECT_EQ(index_.keys[1], "001");
  EXPECT_EQ(index_.labels, first.labels);
  for (size_t kind = 0; kind < kPartKinds; ++kind) {
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(index_.parts[kind][i].block, first.parts[kind][i].block);
      EXPECT_EQ(index_.parts[kind][i].size, first.parts[kind][i].size);
    }
  }
}

TEST_F(ShardCache, IsMadeAnewWhenTheShardChanges) {
  EXPECT_FALSE(load());
  folder_.write("0.tar", tar_of({{"z.png", "Z"}}, folder_.path()));
  EXPECT_FALSE(load());
  EXPECT_EQ(index_.keys[0], "z");
  EXPECT_TRUE(load());
}

TEST_F(ShardCache, EveryCutAndFlippedByteIsNoticed) {
  EXPECT_FALSE(load());
  const std::string file = cached_file(), bytes = read_file(file);
  const std::string name = fs::path(file).lexically_relative(folder_.path()).string();
  for (size_t at = 0; at < bytes.size(); at += 11) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x41);
    folder_.write(name, flipped);
    EXPECT_FALSE(load()) << at;
    EXPECT_EQ(index_.keys.size(), 2u);
    folder_.write(name, std::string_view(bytes).substr(0, at));
    EXPECT_FALSE(load()) << at;
  }
}

TEST_F(ShardCache, FolderThatCannotBeWrittenDoesNotMatter) {
  folder_.write("file", "");
  EXPECT_EQ(load_shard_index(shard_, folder_.path("file/below")).keys.size(), 2u);
}

TEST(Webdataset, ClassNamesAndProvenanceInTheFolder) {
  TempFolder folder;
  folder.write("0.tar", tar_of(two_samples(), folder.path()));
  folder.write("classes.txt", "smileys\npeople\n\nflags\n\n");
  folder.write("provenance.json", "{}");
  const auto source = open_source(config_for(folder.path()));
  EXPECT_THAT(source->class_names(), ElementsAre("smileys", "people", "", "flags"));
  EXPECT_EQ(source->provenance(), "{}");
}

TEST(Webdataset, FeaturesInTheSameOrOtherShards) {
  TempFolder folder;
  Members members = two_samples();
  members.emplace_back("000.features.npy", npy_f32({2, 1}, {1, 2}));
  members.emplace_back("001.features.npy", npy_f32({2, 1}, {3, 4}));
  folder.write("same/0.tar", tar_of(members, folder.path()));
  folder.write("data/0.tar", tar_of(two_samples(), folder.path()));
  folder.write("features/0.tar", tar_of({members.end()[-1], members.end()[-2]}, folder.path()));
  for (const auto& [data, features] : {std::pair("same", "same"), std::pair("data", "features")}) {
    DataConfig config = config_for(folder.path(data));
    config.features = folder.path(features);
    const auto source = open_source(config);
    ASSERT_TRUE(source->has_features());
    EXPECT_EQ(source->read(0).feature_bytes, npy_f32({2, 1}, {1, 2}));
    EXPECT_EQ(source->read(1).feature_bytes, npy_f32({2, 1}, {3, 4}));
    EXPECT_EQ(check_source(*source, config).feature_tokens, 2);
  }
  DataConfig config = config_for(folder.path("data"));
  config.features = folder.path("data");
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config); }), HasSubstr("features"));
}

}  // namespace
}  // namespace gigacat::data
