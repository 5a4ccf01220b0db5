#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/fixtures.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Folder, ClassesInNameOrder) {
  TempFolder folder;
  folder.write("dog/2.png", solid_png(4, 4, 2));
  folder.write("dog/deep/1.JPG", solid_png(4, 4, 3));
  folder.write("cat-big/9.png", solid_png(4, 4, 1));
  folder.write("cat/0.webp", solid_png(4, 4, 0));
  folder.write("cat/notes.md", "no image");
  folder.write("cat/.hidden.png", "");
  const auto source = open_source(config_for(folder.path()));
  EXPECT_THAT(source->class_names(), ElementsAre("cat", "cat-big", "dog"));
  std::set<std::pair<std::string, int64_t>> found;
  for (int64_t i = 0; i < source->size(); ++i) found.emplace(source->name(i), source->label(i));
  const std::set<std::pair<std::string, int64_t>> wanted = {
      {"cat-big/9.png", 1}, {"cat/0.webp", 0}, {"dog/2.png", 2}, {"dog/deep/1.JPG", 2}};
  EXPECT_EQ(found, wanted);
  EXPECT_EQ(check_source(*source, config_for(folder.path())).num_classes, 3);
}

TEST(Folder, FlatHasNoLabels) {
  TempFolder folder;
  folder.write("b.png", solid_png(4, 4, 9));
  folder.write("a.png", solid_png(4, 4, 8));
  const auto source = open_source(config_for(folder.path()));
  ASSERT_EQ(source->size(), 2);
  EXPECT_EQ(source->name(0), "a.png");
  EXPECT_EQ(source->label(0), -1);
  EXPECT_THAT(source->class_names(), IsEmpty());
  EXPECT_EQ(source->read(1).bytes, solid_png(4, 4, 9));
  EXPECT_EQ(check_source(*source, config_for(folder.path())).num_classes, 1);
}

TEST(Folder, StudioganLayoutReadsTrain) {
  TempFolder folder;
  folder.write("train/a/0.png", solid_png(4, 4, 0));
  folder.write("train/b/0.png", solid_png(4, 4, 0));
  folder.write("valid/a/0.png", solid_png(4, 4, 0));
  const auto source = open_source(config_for(folder.path()));
  EXPECT_EQ(source->size(), 2);
  EXPECT_THAT(source->class_names(), ElementsAre("a", "b"));
}

// pytorch/vision#4925: a folder of train, test and validation beside an empty one was three classes.
TEST(Folder, PartsOfADataSetAreNoClasses) {
  TempFolder folder;
  for (const char* name : {"train/a/0.png", "train/b/0.png", "test/a/0.png", "validation/a/0.png"})
    folder.write(name, solid_png(4, 4, 0));
  folder.write("README.md", "x");
  fs::create_directory(folder.path("empty_subfolder_XYZ"));
  const auto source = open_source(config_for(folder.path()));
  EXPECT_EQ(source->size(), 2);
  EXPECT_THAT(source->class_names(), ElementsAre("a", "b"));
  folder.write("other/0.png", solid_png(4, 4, 0));  // then they are folders like others
  EXPECT_EQ(open_source(config_for(folder.path()))->class_names().size(), 4u);
}

TEST(Folder, SomeUnlabelledAreRefused) {
  TempFolder folder;
  folder.write("a/0.png", solid_png(4, 4, 0));
  folder.write("stray.png", solid_png(4, 4, 0));
  DataConfig config = config_for(folder.path());
  const auto source = open_source(config);
  EXPECT_THAT(error_of<UsageError>([&] { check_source(*source, config); }), HasSubstr("stray.png"));
  config.labels = false;
  EXPECT_EQ(check_source(*source, config).num_classes, 1);
}

TEST(Folder, LabelsAreCheckedAgainstTheConfig) {
  TempFolder folder;
  for (const char* name : {"a/0.png", "b/0.png", "c/0.png"}) folder.write(name, solid_png(4, 4, 0));
  DataConfig config = config_for(folder.path());
  const auto source = open_source(config);
  config.num_classes = 2;
  EXPECT_THAT(error_of<UsageError>([&] { check_source(*source, config); }), HasSubstr("c/0.png"));
  config.num_classes = 10;
  EXPECT_EQ(check_source(*source, config).num_classes, 10);
}

TEST(Folder, CaptionsBesideImages) {
  TempFolder folder;
  folder.write("a.png", solid_png(4, 4, 0));
  folder.write("a.txt", "  a black square\n");
  folder.write("a.json", R"({"long": "a square that is black"})");
  DataConfig config = config_for(folder.path());
  config.captions = true;
  EXPECT_EQ(open_source(config)->read(0).caption, "a black square");
  config.caption_column = "long";
  EXPECT_EQ(open_source(config)->read(0).caption, "a square that is black");
  config.caption_column = "absent";
  EXPECT_THAT(error_of<Error>([&] { open_source(config)->read(0); }), HasSubstr("absent"));
}

TEST(Folder, NothingThereIsSaid) {
  TempFolder folder;
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(folder.path())); }), HasSubstr(folder.path()));
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(folder.path("absent"))); }), HasSubstr("absent"));
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for("")); }), HasSubstr("data.path is empty"));
  DataConfig config = config_for(folder.path());
  config.kind = "emoji";
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config); }), HasSubstr("gigacat data emoji"));
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(folder.write("a.pdf", "x"))); }),
              HasSubstr("no data set"));
}

TEST(Folder, LinksThatLoopEnd) {
  TempFolder folder;
  folder.write("a/0.png", solid_png(4, 4, 0));
  fs::create_directory_symlink(folder.path(), folder.path("a/loop"));
  fs::create_directory_symlink(folder.path("a"), folder.path("b"));
  fs::create_symlink(folder.path("nowhere.png"), folder.path("a/dangling.png"));
  EXPECT_THAT(io::list_files(folder.path(), io::is_image),
              ElementsAre("a/0.png", "a/dangling.png", "b/0.png", "b/dangling.png"));
}

// Pictures of equal size, as BMPs and arrays are, are told apart by their bytes.
TEST(Folder, IdentityFollowsContents) {
  TempFolder folder;
  folder.write("a/0.png", solid_png(4, 4, 0));
  std::string png = solid_png(4, 4, 9);
  folder.write("a/1.png", png);
  const std::string before = identity_of(*open_source(config_for(folder.path())));
  png.back() = static_cast<char>(png.back() + 1);
  folder.write("a/1.png", png);
  const std::string after = identity_of(*open_source(config_for(folder.path())));
  EXPECT_NE(before, after);
  EXPECT_EQ(before.substr(0, 64), after.substr(0, 64));
  EXPECT_FALSE(is_same_data(after, before));
  EXPECT_TRUE(is_same_data(after, before.substr(0, 64)));  // of a checkpoint that noted names and sizes only
  EXPECT_FALSE(is_same_data(after, before.substr(0, 63)));
  EXPECT_FALSE(is_same_data(after, ""));
}

// What is read decides; all else in the folder is named.
TEST(Folder, OtherKindsBesideAreNamed) {
  TempFolder pictures;
  pictures.write("0.png", solid_png(4, 4, 0));
  pictures.write("1.npy", "array");
  pictures.write("0.features.npy", "features");
  pictures.write("set/dataset.json", "{}");
  pictures.write("set/b.zip", "PK");
  EXPECT_THAT(reasons_of(open_source(config_for(pictures.path()))->left_out()),
              AllOf(HasSubstr("arrays (.npy) beside pictures"), HasSubstr("1, such as 1.npy"),
                    HasSubstr("dataset.json below the folder"), HasSubstr("archives inside of the data")));
  TempFolder shards;
  shards.write("a.tar", tar_of({{"0.png", solid_png(4, 4, 1)}}, shards.path()));
  shards.write("0.png", solid_png(4, 4, 0));
  shards.write("deep/1.jpg", "x");
  shards.write("b.zip", "PK");
  shards.write("c.npy", "array");
  EXPECT_THAT(reasons_of(open_source(config_for(shards.path()))->left_out()),
              AllOf(HasSubstr("pictures beside the shards"), HasSubstr("2, such as 0.png"), HasSubstr("arrays beside"),
                    HasSubstr("such as b.zip")));
}

TEST(Folder, IdentityFollowsNamesSizesLabels) {
  TempFolder one, two;
  for (const TempFolder* folder : {&one, &two}) folder->write("a/0.png", solid_png(4, 4, 0));
  const auto identity = [](const TempFolder& folder) { return identity_of(*open_source(config_for(folder.path()))); };
  EXPECT_EQ(identity(one), identity(two));
  EXPECT_EQ(identity(one).size(), 129u);
  two.write("a/1.png", solid_png(4, 4, 0));
  EXPECT_NE(identity(one), identity(two));
}

// Versions before 0.2 named the file recipe.json; a set that they made still opens, and still counts as latents.
TEST(Folder, ProvenanceUnderItsOldNameIsRead) {
  TempFolder folder;
  folder.write("pictures/0.png", solid_png(4, 4, 1));
  folder.write("pictures/recipe.json", R"({"crop": "old"})");
  EXPECT_EQ(open_source(config_for(folder.path("pictures")))->provenance(), R"({"crop": "old"})");
  folder.write("pictures/provenance.json", R"({"crop": "new"})");
  EXPECT_EQ(open_source(config_for(folder.path("pictures")))->provenance(), R"({"crop": "new"})");

  folder.write(
      "latents/0.tar",
      tar_of({{"0.npy", npy_f32({3, 2, 2}, std::vector<float>(12))}, {"0.png", solid_png(4, 4, 1)}}, folder.path()));
  folder.write("latents/recipe.json", R"({"kind": "latents"})");
  EXPECT_EQ(open_source(config_for(folder.path("latents"), 2))->content(), Content::latent);

  const std::string zip =
      folder.write("set.zip", zip_of({{"0.png", solid_png(4, 4, 1)}, {"recipe.json", "{}"}}, folder.path()));
  EXPECT_EQ(open_source(config_for(zip))->provenance(), "{}");
}

TEST(Folder, ProvenanceIsHandedOn) {
  TempFolder folder;
  folder.write("a.png", solid_png(4, 4, 0));
  EXPECT_EQ(open_source(config_for(folder.path()))->provenance(), "");
  folder.write("provenance.json", R"({"crop": "adm"})");
  EXPECT_EQ(open_source(config_for(folder.path()))->provenance(), R"({"crop": "adm"})");
}

}  // namespace
}  // namespace gigacat::data
