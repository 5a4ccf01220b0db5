#include "gigacat/data/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/fixtures.h"

namespace gigacat::data {
namespace {

using testing::HasSubstr;

DataConfig parse(const std::string& yaml) {
  DataConfig config;
  config::Binder binder;
  binder.section("data", config, "data");
  config::Document::parse(yaml, "test.yaml").apply(binder);
  return config;
}

TEST(DataConfig, DefaultsAndSizes) {
  const DataConfig square = parse("data: {path: x, resolution: 64}");
  EXPECT_EQ(square.target_height(), 64);
  EXPECT_EQ(square.target_width(), 64);
  EXPECT_EQ(square.kind, "auto");
  EXPECT_EQ(square.worker_count(), 2);
  const DataConfig wide = parse("data: {path: x, resolution: 64, width: 128, workers: -1}");
  EXPECT_EQ(wide.target_height(), 64);
  EXPECT_EQ(wide.target_width(), 128);
  EXPECT_GE(wide.worker_count(), 1);
}

TEST(DataConfig, RefusesWhatCannotWork) {
  EXPECT_THAT(error_of<UsageError>([] { parse("data: {path: x}"); }), HasSubstr("data.resolution"));
  EXPECT_THAT(error_of<UsageError>([] { parse("data: {path: x, height: 8}"); }), HasSubstr("data.height"));
  EXPECT_THAT(error_of<UsageError>([] { parse("data: {resolution: 8, workers: 0}"); }), HasSubstr("workers"));
  EXPECT_THAT(error_of<UsageError>([] { parse("data: {resolution: 8, kind: shards}"); }), HasSubstr("webdataset"));
  EXPECT_THAT(error_of<UsageError>([] { parse("data: {resolution: 8, max_bad_fraction: 2}"); }),
              HasSubstr("max_bad_fraction"));
  EXPECT_THAT(error_of<UsageError>([] { parse("data: {resolution: 8, caption_column: text}"); }),
              HasSubstr("data.captions"));
}

TEST(DataConfig, ReadingSpeedMayChangeOnResume) {
  DataConfig config;
  config::Binder binder;
  config.bind(binder);
  for (const char* key : {"workers", "prefetch", "max_bad_fraction"})
    EXPECT_TRUE(binder.at(key).meta.free_on_resume) << key;
  for (const char* key : {"flip", "resolution"}) EXPECT_FALSE(binder.at(key).meta.free_on_resume) << key;
}

}  // namespace
}  // namespace gigacat::data
