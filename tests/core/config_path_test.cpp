// Paths in configs: the home folder, and the folder of the file that they stand in.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "gigacat/core/config.h"
#include "temporary_folder.h"

namespace gigacat::config {
namespace {

struct PathConfig {
  std::string path, name;
  void bind(Binder& b) {
    b.field("path", path, "", "of files", {.unit = "path"});
    b.field("name", name, "", "no path");
  }
};

class Paths : public testing::Test {
 protected:
  void SetUp() override {
    home_ = getenv("HOME") == nullptr ? "" : getenv("HOME");
    setenv("HOME", "/home/me", 1);
    folder_.file("configs/images/0.png", "");
    folder_.file("configs/shards/0.tar", "");
  }
  void TearDown() override { setenv("HOME", home_.c_str(), 1); }

  std::string from_file(const std::string& value) const {
    const auto file = folder_.file("configs/c.yaml", "path: \"" + value + "\"\nname: \"" + value + "\"\n");
    PathConfig config;
    Binder binder;
    config.bind(binder);
    Document::load(file).apply(binder);
    EXPECT_EQ(config.name, value);
    return config.path;
  }
  std::string from_command_line(const std::string& value) const {
    PathConfig config;
    Binder binder;
    config.bind(binder);
    Document::parse("", "command line", {"path=" + value}).apply(binder);
    return config.path;
  }
  std::string below(const std::string& name) const { return (folder_ / ("configs/" + name)).string(); }

  TemporaryFolder folder_;
  std::string home_;
};

TEST_F(Paths, HomeFolder) {
  EXPECT_EQ(from_command_line("~/data/{00..11}.tar"), "/home/me/data/{00..11}.tar");
  EXPECT_EQ(from_file("~"), "/home/me");
  EXPECT_EQ(from_command_line("~other/data"), "~other/data");
  EXPECT_EQ(from_command_line("a~/b"), "a~/b");
}

TEST_F(Paths, RelativeToTheFileWhereNothingIsInTheWorkingDirectory) {
  EXPECT_EQ(from_file("images"), below("images"));
  EXPECT_EQ(from_file("shards/{0..1}.tar"), below("shards/{0..1}.tar"));
  EXPECT_EQ(from_file("shards/*.tar"), below("shards/*.tar"));
  EXPECT_EQ(from_file("nowhere"), "nowhere");
  EXPECT_EQ(from_file(below("images")), below("images"));
  EXPECT_EQ(from_file("."), ".");  // the working directory is there
  EXPECT_EQ(from_command_line("images"), "images");
}

}  // namespace
}  // namespace gigacat::config
