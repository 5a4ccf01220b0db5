#include "gigacat/io/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"

namespace gigacat::io {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FolderTest : public testing::Test {
 protected:
  void add(const std::string& name) const { temporary_.file(name, "x"); }
  std::vector<std::string> images(const std::string& below = "", std::vector<fs::path> except = {}) const {
    return list_files(root_ / below, is_image, std::move(except));
  }
  TemporaryFolder temporary_;
  fs::path root_ = temporary_.path();
};

TEST(FolderNames, EndingsAndStems) {
  EXPECT_EQ(suffix("a.b/c.PNG"), "png");
  EXPECT_EQ(suffix("a.b/c"), "");
  EXPECT_EQ(stem("a.b/c.d.png"), "a.b/c.d");
  EXPECT_EQ(stem("a.b/c"), "a.b/c");
  for (const char* name : {"a.jpg", "a.JPEG", "a.jfif", "a.png", "a.webp", "a.bmp"})
    EXPECT_TRUE(is_image(name)) << name;
  for (const char* name : {"a.gif", "a", "png", "a.png.txt"}) EXPECT_FALSE(is_image(name)) << name;
}

// pytorch/vision#109, traintrain#26, upscayl#283: what systems leave in folders and archives is no picture.
TEST(FolderNames, LeftoversOfSystems) {
  for (const char* name :
       {"._0.png", ".DS_Store", "Thumbs.db", "thumbs.db", "Desktop.ini", ".ipynb_checkpoints/0-checkpoint.png",
        "__MACOSX/cat/._0.png", "@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/0.png", "cat/.hidden/0.png",
        "$RECYCLE.BIN/0.png", "lost+found/0.png"})
    EXPECT_TRUE(is_leftover(name)) << name;
  for (const char* name : {"0.png", "cat/0.png", "MACOSX/0.png", "a.DS_Store/0.png", "cat/thumbs/0.png"})
    EXPECT_FALSE(is_leftover(name)) << name;
}

TEST_F(FolderTest, LeftoversAreNotListed) {
  for (const char* name : {"cat/0.png", "cat/._0.png", "cat/.DS_Store", "Thumbs.db", "__MACOSX/cat/0.png",
                           "@eaDir/0.png", ".ipynb_checkpoints/0.png", "dog/1.png"})
    add(name);
  EXPECT_THAT(images(), ElementsAre("cat/0.png", "dog/1.png"));
  EXPECT_THAT(list_folders(root_), ElementsAre("cat", "dog"));
}

TEST_F(FolderTest, LinksAreFollowedButNotInCircles) {
  add("real/0.png");
  add("set/1.png");
  fs::create_directory_symlink(root_ / "real", root_ / "set/linked");
  fs::create_directory_symlink(root_ / "set", root_ / "set/circle");
  fs::create_symlink(root_ / "nowhere", root_ / "set/2.png");  // counted, so that it is not lost in silence
  EXPECT_THAT(images("set"), ElementsAre("1.png", "2.png", "linked/0.png"));
}

TEST_F(FolderTest, ResultsAreNotReadAgain) {
  for (const char* name :
       {"0.png", "large/0.png", "large/.upsample.json", "runs/00000-cat/run.json", "runs/00000-cat/config.yaml",
        "runs/00000-cat/samples/000100.png", "excepted/0.png", "config.yaml"})
    add(name);
  add("drawn/000000.png");
  std::ofstream(root_ / "drawn/samples.json") << "{\n \"checkpoint\": \"x\",\n \"weights_crc32c\": \"00000000\"\n}\n";
  add("other/0.png");  // with a list of another program
  std::ofstream(root_ / "other/samples.json") << "{\"samples\": []}\n";
  EXPECT_THAT(images("", {root_ / "excepted", root_ / "absent"}), ElementsAre("0.png", "other/0.png"));
  EXPECT_THAT(images("large"), ElementsAre("0.png"));  // named itself it is read
  std::vector<std::string> results;
  walk(root_, [](const std::string&) { return true; }, {.results = &results});
  EXPECT_THAT(results, ElementsAre("drawn", "large", "runs/00000-cat"));
}

TEST_F(FolderTest, StopsWhereItIsStopped) {
  for (const char* name : {"b/1.png", "a/0.png", "c/2.png"}) add(name);
  std::vector<std::string> seen;
  EXPECT_TRUE(walk(root_, [&](const std::string& name) {
    seen.push_back(name);
    return name != "b/1.png";
  }));
  EXPECT_THAT(seen, ElementsAre("a/0.png", "b/1.png"));
}

TEST_F(FolderTest, FolderThatCannotBeReadIsAnError) {
  EXPECT_THROW(images("absent"), Error);
  add("closed/0.png");
  fs::permissions(root_ / "closed", fs::perms::none);
  if (::geteuid() != 0) {
    EXPECT_THROW(images(), Error);
  }
  fs::permissions(root_ / "closed", fs::perms::owner_all);
  EXPECT_THAT(images(), ElementsAre("closed/0.png"));
  EXPECT_THAT(images("closed", {}), testing::Not(IsEmpty()));
}

}  // namespace
}  // namespace gigacat::io
