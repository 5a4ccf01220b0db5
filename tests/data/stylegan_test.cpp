#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/fixtures.h"

namespace gigacat::data {
namespace {

using testing::HasSubstr;

Members images() {
  return {
      {"00000/img00000001.png", solid_png(4, 4, 1)}, {"00000/img00000000.png", solid_png(4, 4, 0)}, {"notes.txt", "x"}};
}

constexpr const char* kLabels = R"({"labels": [["00000/img00000000.png", 6], ["00000/img00000001.png", 9]]})";

TEST(Stylegan, Zip) {
  TempFolder folder;
  Members members = images();
  members.emplace_back("dataset.json", kLabels);
  members.emplace_back("provenance.json", "{}");
  const auto source = open_source(config_for(folder.write("set.zip", zip_of(members, folder.path()))));
  ASSERT_EQ(source->size(), 2);
  EXPECT_EQ(source->name(0), "00000/img00000000.png");
  EXPECT_EQ(source->label(0), 6);
  EXPECT_EQ(source->read(1).bytes, solid_png(4, 4, 1));
  EXPECT_EQ(source->read(1).label, 9);
  EXPECT_EQ(source->provenance(), "{}");
  EXPECT_EQ(source->identity().size(), 64u);
}

TEST(Stylegan, LabelsMayBeNullOrAbsent) {
  TempFolder folder;
  Members members = images();
  EXPECT_EQ(open_source(config_for(folder.write("a.zip", zip_of(members, folder.path()))))->label(0), -1);
  members.emplace_back("dataset.json", R"({"labels": null})");
  EXPECT_EQ(open_source(config_for(folder.write("b.zip", zip_of(members, folder.path()))))->label(0), -1);
}

TEST(Stylegan, Folder) {
  TempFolder folder;
  for (const auto& [name, content] : images()) folder.write(name, content);
  folder.write("dataset.json", kLabels);
  const auto source = open_source(config_for(folder.path()));
  ASSERT_EQ(source->size(), 2);
  EXPECT_EQ(source->label(1), 9);
  EXPECT_EQ(source->read(0).bytes, solid_png(4, 4, 0));
}

TEST(Stylegan, BrokenLabelsAreRefused) {
  TempFolder folder;
  for (const char* bad : {"", "{", "[]", "{}", R"({"labels": 3})", R"({"labels": [["a"]]})", R"({"labels": [[1, 2]]})",
                          R"({"labels": [["a", "b"]]})", R"({"labels": [["a", -1]]})", R"({"labels": [["a", 1.5]]})",
                          R"({"labels": [["a", 99999999999]]})"}) {
    Members members = images();
    members.emplace_back("dataset.json", bad);
    const std::string zip = folder.write("bad.zip", zip_of(members, folder.path()));
    EXPECT_THAT(error_of<Error>([&] { open_source(config_for(zip)); }), HasSubstr("dataset.json")) << bad;
  }
}

TEST(Stylegan, BrokenZipsAreRefused) {
  TempFolder folder;
  const std::string whole = zip_of(images(), folder.path());
  for (const size_t size : {size_t{0}, size_t{10}, whole.size() / 2, whole.size() - 1}) {
    const std::string zip = folder.write("cut.zip", std::string_view(whole).substr(0, size));
    EXPECT_THROW(open_source(config_for(zip)), Error) << size;
  }
  const std::string empty = folder.write("empty.zip", zip_of({{"a.txt", "x"}}, folder.path()));
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(empty)); }), HasSubstr("holds no image"));
}

}  // namespace
}  // namespace gigacat::data
