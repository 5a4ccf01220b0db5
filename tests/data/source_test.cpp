// What lies at a path is found out, or said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "data/fixtures.h"
#include "gigacat/data/loader.h"

namespace gigacat::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string npy_images() { return npy_f32({2, 4, 4, 3}, std::vector<float>(96, 0.5f)); }

// Each form in which people have their own pictures trains with data.kind=auto.
TEST(Source, AutoTakesOwnPicturesInEachForm) {
  TempFolder folder;
  for (const char* name : {"flat/0.png", "flat/1.jpg", "classes/cat/0.png", "classes/dog/1.png"})
    folder.write(name, solid_png(4, 4, 9));
  const Members members = {{"cat/0.png", solid_png(4, 4, 9)}, {"dog/1.png", solid_png(4, 4, 9)}};
  folder.write("shards/0.tar", tar_of({{"0.png", solid_png(4, 4, 9)}, {"1.png", solid_png(4, 4, 9)}}, folder.path()));
  folder.write("set.zip", zip_of(members, folder.path()));
  folder.write("set.npz", zip_of({{"arr_0.npy", npy_images()}}, folder.path()));
  folder.write("set.npy", npy_images());
  for (const auto& [path, classes] : {std::pair("flat", 1), std::pair("classes", 2), std::pair("shards", 1),
                                      std::pair("set.zip", 2), std::pair("set.npz", 1), std::pair("set.npy", 1)}) {
    const DataConfig config = config_for(folder.path(path), 4);
    const std::shared_ptr<const Source> source = open_source(config);
    EXPECT_EQ(source->size(), 2) << path;
    EXPECT_NE(source->format(), "") << path;
    EXPECT_EQ(check_source(*source, config).num_classes, classes) << path;
    Loader loader(source, config, {.global_batch = 2});
    EXPECT_EQ(loader.next().count, 2) << path;
  }
}

TEST(Source, PicturesOfAFolderAreSamplesOrNamed) {
  TempFolder folder;
  for (const char* name : {"a/0.png", "a/1.jfif"}) folder.write(name, solid_png(4, 4, 0));
  folder.write("a/2.gif", "GIF89a");
  folder.write("a/3.gif", "GIF89a");
  folder.write("a/4.jpg_large", solid_png(4, 4, 0));
  folder.write("a/5.txt", "caption");
  folder.write("a/more.zip", "PK");
  const auto source = open_source(config_for(folder.path()));
  EXPECT_EQ(source->size(), 2);
  std::vector<std::string> reasons;
  for (const LeftOut& item : source->left_out()) reasons.push_back(item.text());
  EXPECT_THAT(reasons, testing::UnorderedElementsAre(
                           HasSubstr("end in .gif, which is not read (convert them to PNG or JPEG): 2"),
                           HasSubstr("pictures by content"), HasSubstr("archives")));
}

// upscayl#283 and torchvision#109, for every kind of data set that is a folder.
TEST(Source, LeftoversOfSystemsAreNeitherPicturesNorFailures) {
  TempFolder folder;
  for (const char* name : {"cat/0.png", "dog/1.png", ".ipynb_checkpoints/0-checkpoint.png", "@eaDir/0.png"})
    folder.write(name, solid_png(4, 4, 0));
  for (const char* name : {"cat/._0.png", "cat/.DS_Store", "Thumbs.db", "__MACOSX/cat/._0.png"})
    folder.write(name, "x");
  const auto source = open_source(config_for(folder.path()));
  EXPECT_EQ(source->size(), 2);
  EXPECT_THAT(source->class_names(), ElementsAre("cat", "dog"));
  EXPECT_THAT(source->left_out(), IsEmpty());
}

TEST(Source, RunsInsideTheDataAreNotRead) {
  TempFolder folder;
  folder.write("cat/0.png", solid_png(4, 4, 0));
  for (const char* name : {"runs/00000-x/run.json", "runs/00000-x/config.yaml"}) folder.write(name, "{}");
  folder.write("runs/00000-x/samples/000100.png", solid_png(4, 4, 0));
  const auto source = open_source(config_for(folder.path()));
  EXPECT_EQ(source->size(), 1);
  EXPECT_THAT(source->class_names(), ElementsAre("cat"));
}

// Images decide, wherever shards lie in between.
TEST(Source, ImagesWithShardsInAFolderOfTheirOwn) {
  TempFolder folder;
  folder.write("cat/0.png", solid_png(4, 4, 0));
  folder.write("a-latents/0.tar", tar_of({{"0.npy", npy_f32({4, 2, 2}, std::vector<float>(16))}}, folder.path()));
  const auto source = open_source(config_for(folder.path()));
  EXPECT_EQ(source->content(), Content::image);
  EXPECT_THAT(source->left_out().at(0).text(), HasSubstr("archives"));
}

TEST(Source, ImagesAsNumbersAreNoLatents) {
  TempFolder folder;
  std::vector<float> values(12, 0.5f);
  folder.write("set/0.npy", npy_f32({3, 2, 2}, values));
  DataConfig config = config_for(folder.path("set"), 2);
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config); }),
              HasSubstr("0.npy is an image as numbers, float32 [3, 2, 2]"));
  config.kind = "latents";
  EXPECT_EQ(open_source(config)->content(), Content::latent);
  values[5] = -2.5f;  // no pixel
  folder.write("set/0.npy", npy_f32({3, 2, 2}, values));
  config.kind = "auto";
  EXPECT_EQ(open_source(config)->content(), Content::latent);
  EXPECT_THAT(open_source(config)->format(), HasSubstr("latents"));
}

TEST(Source, WrongPathsSayWhereWasLooked) {
  TempFolder folder;
  const auto error = [](const std::string& path) {
    return error_of<UsageError>([&] { open_source(config_for(path)); });
  };
  EXPECT_THAT(error("no/such/folder"), HasSubstr("looked for " + (fs::current_path() / "no/such/folder").string()));
  EXPECT_THAT(error(folder.path("a/b")), HasSubstr("the first part that is there is " + folder.path()));
  EXPECT_THAT(error("data-{00..01}.tar"), HasSubstr((fs::current_path() / "data-00.tar").string()));
  EXPECT_THAT(error(folder.write("0.png", "x")), HasSubstr("give the folder"));
  folder.write("zips/photos.zip", "x");
  EXPECT_THAT(error(folder.path("zips")), HasSubstr("give data.path=" + folder.path("zips/photos.zip")));
}

TEST(Source, VersionFollowsFilesThatAreReplaced) {
  TempFolder folder;
  folder.write("flat/0.png", solid_png(4, 4, 9));
  folder.write("shards/0.tar", tar_of({{"0.png", solid_png(4, 4, 9)}}, folder.path()));
  folder.write("set.zip", zip_of({{"0.png", solid_png(4, 4, 9)}}, folder.path()));
  folder.write("set.npy", npy_images());
  const auto version = [&](const char* path) { return open_source(config_for(folder.path(path), 4))->version(); };
  const auto touch = [&](const char* path) {
    const fs::path file = folder.path(path);
    fs::last_write_time(file, fs::last_write_time(file) + std::chrono::microseconds(1));
  };
  const std::string flat = version("flat"), shards = version("shards"), zip = version("set.zip");
  EXPECT_EQ(version("flat"), flat);
  touch("flat/0.png");
  EXPECT_NE(version("flat"), flat);
  touch("shards/0.tar");
  EXPECT_NE(version("shards"), shards);
  touch("set.zip");
  EXPECT_EQ(version("set.zip"), zip) << "its checksums are of the contents";
  folder.write("set.zip", zip_of({{"0.png", solid_png(4, 4, 8)}}, folder.path()));
  EXPECT_NE(version("set.zip"), zip);
  EXPECT_EQ(version("set.npy"), "") << "its identity is of the contents";
}

TEST(Source, ClassNamesFromFoldersAndLists) {
  TempFolder folder;
  for (const char* name : {"folders/cat/0.png", "folders/dog/0.png", "labels/0.png"})
    folder.write(name, solid_png(4, 4, 0));
  folder.write("labels/dataset.json", R"({"labels": [["0.png", 1]]})");
  folder.write("labels/classes.txt", "cat\ndog\n");
  folder.write("latents/vae-sd/0.npy", npy_f32({4, 2, 2}, std::vector<float>(16)));
  folder.write("latents/classes.txt", "cat\ndog\n");
  for (const char* name : {"folders", "labels", "latents"}) {
    DataConfig config = config_for(folder.path(name));
    if (std::string(name) == "latents") config.channels = 4;
    EXPECT_THAT(open_source(config)->class_names(), ElementsAre("cat", "dog")) << name;
  }
}

}  // namespace
}  // namespace gigacat::data
