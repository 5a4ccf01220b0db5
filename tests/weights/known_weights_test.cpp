#include "gigacat/weights/known_weights.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <set>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::weights {
namespace {

using ::testing::HasSubstr;

class Cache : public ::testing::Test {
 protected:
  void SetUp() override { ::setenv("GIGACAT_CACHE", folder_.path().c_str(), 1); }
  void TearDown() override { ::unsetenv("GIGACAT_CACHE"); }
  TemporaryFolder folder_;
};

TEST(KnownWeights, EveryEntryIsComplete) {
  std::set<std::string> names, files;
  for (const WeightFile& file : known_weights()) {
    EXPECT_TRUE(names.insert(file.name).second) << file.name;
    EXPECT_TRUE(files.insert(file.file).second) << file.file;
    EXPECT_THAT(file.url, ::testing::StartsWith("https://"));
    EXPECT_FALSE(file.licence.empty()) << file.name;
    EXPECT_FALSE(file.purpose.empty()) << file.name;
    EXPECT_THAT(file.sha256.size(), ::testing::AnyOf(0u, 8u, 64u)) << file.name;
    EXPECT_EQ(file.sha256.find_first_not_of("0123456789abcdef"), std::string::npos) << file.name;
  }
  EXPECT_EQ(find_weight_file("dinov2-b14").bytes, 346378731);
  try {
    find_weight_file("dinov2-b41");
    ADD_FAILURE();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean dinov2-"));
  }
}

TEST_F(Cache, FollowsTheVariables) {
  EXPECT_EQ(weight_folder(), fs::path(folder_.path()) / "weights");
  ::unsetenv("GIGACAT_CACHE");
  ::setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(weight_folder(), "/x/gigacat/weights");
  ::unsetenv("XDG_CACHE_HOME");
}

TEST_F(Cache, AHashIsRecordedWhereNoneIsPublished) {
  const WeightFile& file = find_weight_file("sd-vae-ema");
  ASSERT_TRUE(file.sha256.empty());
  EXPECT_EQ(verify(file, true).state, WeightState::missing);
  folder_.file("weights/" + file.file, "first");
  EXPECT_EQ(verify(file, false).state, WeightState::unseen);
  EXPECT_EQ(verify(file, true).state, WeightState::recorded);
  EXPECT_EQ(verify(file, false).state, WeightState::recorded);
  folder_.file("weights/" + file.file, "second");
  EXPECT_EQ(verify(file, true).state, WeightState::wrong);
  try {
    locate("sd-vae-ema");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("is not sd-vae-ema"));
  }
}

TEST_F(Cache, LocateSaysWhatToDo) {
  EXPECT_EQ(locate(folder_.file("own.safetensors", "x").string()), folder_ / "own.safetensors");
  EXPECT_THROW(locate("no/such/file"), UsageError);
  try {
    locate("inception");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("gigacat weights get inception"));
    EXPECT_THAT(error.what(), HasSubstr((folder_ / "weights/pt_inception-2015-12-05-6726825d.pth").string()));
  }
  folder_.file("weights/pt_inception-2015-12-05-6726825d.pth", "other bytes");
  EXPECT_THROW(locate("inception"), Error);
}

}  // namespace
}  // namespace gigacat::weights
