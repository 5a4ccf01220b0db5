#include "gigacat/data/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>

#include "data/fixtures.h"

namespace gigacat::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

void write_set(const TempFolder& folder) {
  for (int i = 0; i < 4; ++i) folder.write(cat("a/", i, ".png"), pattern_png(10, 12));
  for (int i = 0; i < 3; ++i) folder.write(cat("b/", i, ".png"), pattern_png(20, 8));
  folder.write("b/9.jpg", "garbage");
  folder.write("provenance.json", R"({"source": "test"})");
}

TEST(Inspect, CountsWhatIsThere) {
  TempFolder folder;
  write_set(folder);
  for (const int64_t resolution : {0, 8}) {
    const DataConfig config = config_for(folder.path(), resolution);
    const auto source = open_source(config);
    const Inspection found = inspect(*source, config, 0);
    EXPECT_EQ(found.samples, 8);
    EXPECT_EQ(found.bad, 1);
    EXPECT_EQ(found.with_label, 8);  // the broken one is in a class folder too
    EXPECT_EQ(found.with_caption, 0);
    EXPECT_THAT(found.classes, ElementsAre(Pair(0, 4), Pair(1, 4)));
    EXPECT_THAT(found.sizes, ElementsAre(Pair("12x10", 4), Pair("8x20", 3)));
    EXPECT_THAT(found.first_bad, ElementsAre(HasSubstr("b/9.jpg")));
    EXPECT_GT(found.images_per_second, 0);
    EXPECT_EQ(found.identity, identity_of(*source));
    EXPECT_THAT(found.provenance, HasSubstr("test"));
  }
}

TEST(Inspect, LooksAtAsManyAsAsked) {
  TempFolder folder;
  write_set(folder);
  const DataConfig config = config_for(folder.path());
  const Inspection found = inspect(*open_source(config), config, 4);
  EXPECT_EQ(found.samples, 4);
  EXPECT_THAT(found.sizes, ElementsAre(Pair("12x10", 2), Pair("8x20", 2)));
  EXPECT_EQ(found.classes.at(1), 4);
}

TEST(Inspect, ContactSheet) {
  TempFolder folder;
  write_set(folder);
  const DataConfig config = config_for(folder.path(), 8);
  const auto source = open_source(config);
  const std::string png = contact_sheet(*source, config, 2, 4);
  const io::ImageHeader header = io::probe_image(std::as_bytes(std::span<const char>(png)), "sheet");
  EXPECT_EQ(header.format, "png");
  EXPECT_GE(header.width, 4 * 96);
  EXPECT_LT(header.width, 5 * 96);
  EXPECT_GE(header.height, 2 * 96);
  EXPECT_THROW(contact_sheet(*source, config, 0, 4), UsageError);
}

TEST(Inspect, ContactSheetOfLatents) {
  TempFolder folder;
  for (int i = 0; i < 3; ++i)
    folder.write(cat(i, ".npy"), npy_f32({4, 2, 2}, std::vector<float>(16, static_cast<float>(i))));
  DataConfig config = config_for(folder.path(), 2);
  config.channels = 4;
  const auto source = open_source(config);
  const std::string png = contact_sheet(*source, config, 1, 3);
  EXPECT_GE(io::probe_image(std::as_bytes(std::span<const char>(png)), "sheet").width, 6);
  EXPECT_THAT(inspect(*source, config, 0).sizes, ElementsAre(Pair("2x2", 3)));
}

}  // namespace
}  // namespace gigacat::data
