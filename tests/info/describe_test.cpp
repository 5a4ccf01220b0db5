#include "gigacat/info/describe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sample/toy_model.h"

namespace gigacat::info {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(Describe, CountsEachChildAndOwnTensorsOnce) {
  const linear_toy::Network network(6);
  const NetworkReport report = describe_network(*network);
  ASSERT_EQ(report.parts.size(), 3u);
  EXPECT_EQ(report.parts[0].name, "scale");
  EXPECT_EQ(report.parts[0].parameters, 2);
  EXPECT_EQ(report.parts[1].name, "mean");
  EXPECT_EQ(report.parts[1].buffers, 3);
  EXPECT_EQ(report.parts[2].name, "body");
  EXPECT_EQ(report.parts[2].parameters, 4 * 6 + 6);
  EXPECT_EQ(report.parameters, 32);
  EXPECT_EQ(report.buffers, 3);
}

TEST(Describe, MemoryFollowsFromTheConfig) {
  linear_toy::register_once();
  const auto config = run::parse_config(linear_toy::kConfig, "toy.yaml");
  const ModelReport report = describe(*config);
  const double g = 4 * 48 + 48 + 2, d = 4 + 1 + 2, buffers = 3;
  EXPECT_EQ(report.memory.batch, 4);
  EXPECT_EQ(report.memory.weights, 4 * (g + d + 2 * buffers));
  EXPECT_EQ(report.memory.ema, 4 * (g + buffers));
  EXPECT_EQ(report.memory.gradients, 4 * (g + d));
  EXPECT_EQ(report.memory.optimizer, 4 * (g + d));  // beta1 is 0: no mean is kept
  EXPECT_EQ(report.memory.activations, 4 * 1000);
  const std::string text = to_text(report);
  EXPECT_THAT(text, HasSubstr("3 x 4 x 4, 3 classes"));
  EXPECT_THAT(text, HasSubstr("242 parameters"));
  EXPECT_THAT(text, HasSubstr("for the batch of 8"));
}

TEST(Describe, NamesTheFirstClasses) {
  linear_toy::register_once();
  ModelReport report = describe(*run::parse_config(linear_toy::kConfig, "toy.yaml"));
  EXPECT_THAT(to_text(report), Not(HasSubstr("Classes: ")));
  report.class_names = {"cat", "dog", "horse"};
  EXPECT_THAT(to_text(report), HasSubstr("3 x 4 x 4, 3 classes\nClasses: cat, dog, horse\n"));
  report.class_names.assign(30, "x");
  EXPECT_THAT(to_text(report), HasSubstr(", x and 10 more\n"));
  report = describe(*run::parse_config(linear_toy::kConfig, "toy.yaml", {"data.num_classes=1"}));
  EXPECT_THAT(to_text(report), AllOf(HasSubstr("3 x 4 x 4\n"), Not(HasSubstr("classes"))));
}

}  // namespace
}  // namespace gigacat::info
