#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/fixtures.h"

namespace gigacat::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ExpandShards, Ranges) {
  EXPECT_THAT(expand_shards("d-{08..11}.tar"), ElementsAre("d-08.tar", "d-09.tar", "d-10.tar", "d-11.tar"));
  EXPECT_THAT(expand_shards("{9..10}.tar"), ElementsAre("10.tar", "9.tar"));
  EXPECT_THAT(expand_shards("{a,b}/{0..1}.tar"), ElementsAre("a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar"));
  EXPECT_THAT(expand_shards("x.tar"), ElementsAre("x.tar"));
  EXPECT_THAT(expand_shards("{000007..000007}.tar"), ElementsAre("000007.tar"));
}

TEST(ExpandShards, Globs) {
  TempFolder folder;
  for (const char* name : {"cc3m/1.tar", "cc3m/0.tar", "cc12m/0.tar", "cc12m/0.txt"}) folder.write(name, "");
  EXPECT_THAT(expand_shards(folder.path("*/*.tar")),
              ElementsAre(folder.path("cc12m/0.tar"), folder.path("cc3m/0.tar"), folder.path("cc3m/1.tar")));
  EXPECT_THAT(expand_shards(folder.path("{cc3m,cc12m}/?.tar")).size(), 3u);
  EXPECT_THAT(expand_shards(folder.path("absent*.tar")), IsEmpty());
}

TEST(ExpandShards, MalformedRangesAreRefused) {
  for (const char* bad : {"{0..", "{0..}.tar", "{..3}.tar", "{a..c}.tar", "{0..-3}.tar", "{}.tar", "{7}.tar", "0}.tar",
                          "{{0..1}}.tar", "{0..99999999999999999999}.tar"})
    EXPECT_THAT(error_of<UsageError>([&] { expand_shards(bad); }), HasSubstr(bad)) << bad;
  EXPECT_THAT(error_of<UsageError>([] { expand_shards("{5..3}.tar"); }), HasSubstr("backwards"));
  EXPECT_THAT(error_of<UsageError>([] { expand_shards("{0..1000000}.tar"); }), HasSubstr("1,000,000"));
  EXPECT_THAT(error_of<UsageError>([] { expand_shards("{0..9999}{0..9999}.tar"); }), HasSubstr("1,000,000"));
}

TEST(ExpandShards, MissingShardsAreNamed) {
  TempFolder folder;
  folder.write("0.tar", "");
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(folder.path("{0..2}.tar"))); }),
              HasSubstr("1.tar is not there"));
  EXPECT_THAT(error_of<UsageError>([&] { open_source(config_for(folder.path("x*.tar"))); }), HasSubstr("no shard"));
}

}  // namespace
}  // namespace gigacat::data
