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
  EXPECT_EQ(source->listing_digest().size(), 64u);
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

std::string labels_json(const std::string& entries) { return "{\"labels\": [" + entries + "]}"; }

// stylegan2-ada-pytorch#126 and its like: labels whose names are written in another way, or of another folder.
TEST(Stylegan, LabelsUnderOtherNames) {
  TempFolder folder;
  const std::string a = R"(00000/img00000000.png", 6])", b = R"(00000/img00000001.png", 9])";
  const std::vector<std::string> fronts = {"[\"", "[\"./", "[\"/", "[\"/home/me/set/", "[\"other/deep/"};
  for (const std::string& front : fronts) {
    Members members = images();
    members.emplace_back("dataset.json", labels_json(front + a + "," + front + b));
    const auto source = open_source(config_for(folder.write("set.zip", zip_of(members, folder.path()))));
    EXPECT_EQ(source->label(0), 6) << front;
    EXPECT_EQ(source->label(1), 9) << front;
    EXPECT_TRUE(source->left_out().empty());
  }
  Members windows = images();
  windows.emplace_back("dataset.json", R"({"labels": [["00000\\img00000000.png", 6], ["00000\\img00000001.png", 9]]})");
  EXPECT_EQ(open_source(config_for(folder.write("set.zip", zip_of(windows, folder.path()))))->label(1), 9);
}

TEST(Stylegan, LabelsOfNoFileAreCountedOrRefused) {
  TempFolder folder;
  const auto open = [&](const std::string& entries) {
    Members members = images();
    members.emplace_back("dataset.json", labels_json(entries));
    return open_source(config_for(folder.write("set.zip", zip_of(members, folder.path()))));
  };
  const std::string both = R"(["00000/img00000000.png", 6], ["00000/img00000001.png", 9])";
  const auto source = open(both + R"(, ["00000/gone.png", 1], ["00000/img00000000.png", 6])");
  ASSERT_EQ(source->left_out().size(), 1u);
  EXPECT_THAT(source->left_out()[0].text(), HasSubstr("that are not there: 1, such as 00000/gone.png"));
  // stylegan2-ada-pytorch#147: two labels of one picture.
  EXPECT_THAT(error_of<Error>([&] { open(both + R"(, ["00000/img00000000.png", 2])"); }),
              HasSubstr("is listed twice, with the labels 6 and 2"));
  EXPECT_THAT(error_of<Error>([&] { open(R"(["a/x.png", 1], ["b/y.png", 2])"); }),
              HasSubstr("none of its 2 labels is of a file that is there: it names files like a/x.png"));
}

// stylegan2-ada-pytorch#18: pictures zipped as they lay in folders have their classes.
TEST(Stylegan, ZipOfClassFolders) {
  TempFolder folder;
  const auto open = [&](const Members& members) {
    return open_source(config_for(folder.write("set.zip", zip_of(members, folder.path()))));
  };
  const auto source = open({{"pets/dog/1.png", solid_png(4, 4, 1)},
                            {"pets/cat/0.png", solid_png(4, 4, 0)},
                            {"__MACOSX/pets/cat/._0.png", "apple"},
                            {"pets/cat/.DS_Store", "apple"},
                            {"pets/cat/2.tiff", "II*"}});
  ASSERT_EQ(source->size(), 2);
  EXPECT_THAT(source->class_names(), testing::ElementsAre("cat", "dog"));
  EXPECT_EQ(source->label(1), 1);
  EXPECT_THAT(source->format(), HasSubstr("2 classes by folder"));
  EXPECT_THAT(source->left_out().at(0).text(), HasSubstr("end in .tiff"));
  EXPECT_TRUE(open({{"a.png", solid_png(4, 4, 0)}, {"b.png", solid_png(4, 4, 0)}})->class_names().empty());
  // A folder around the whole set, with its labels and the names of its classes.
  const auto nested = open({{"set/00000/img00000000.png", solid_png(4, 4, 0)},
                            {"set/dataset.json", labels_json(R"(["00000/img00000000.png", 1])")},
                            {"set/classes.txt", "cat\ndog\n"}});
  EXPECT_EQ(nested->label(0), 1);
  EXPECT_THAT(nested->class_names(), testing::ElementsAre("cat", "dog"));
}

TEST(Stylegan, BrokenLabelsAreRefused) {
  TempFolder folder;
  // stylegan2-ada-pytorch#126: edited by hand.
  folder.write("hand/0.png", solid_png(4, 4, 0));
  folder.write("hand/dataset.json", "{\"labels\": [\n  [\"0.png\", 1],\n]}");
  EXPECT_THAT(error_of<Error>([&] { open_source(config_for(folder.path("hand"))); }),
              HasSubstr("dataset.json:3: not valid JSON: a comma that nothing follows"));
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
