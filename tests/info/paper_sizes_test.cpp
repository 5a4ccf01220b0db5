// The presets have the sizes that the papers give.
#include <gtest/gtest.h>

#include <cmath>

#include "gigacat/nn/state.h"
#include "gigacat/run/config.h"
#include "paths.h"

namespace gigacat::info {
namespace {

struct PaperSize {
  const char* preset;
  double parameters;  // of the generator
  double products;    // multiply-adds of a generator's forward pass
};

class PaperSizes : public testing::TestWithParam<PaperSize> {};

// Sources: GAT table 1 (arXiv 2509.24935), CAT's project page.
TEST_P(PaperSizes, OfTheGenerator) {
  const auto config =
      run::load_config(std::string(test::source_dir()) + "/configs/" + GetParam().preset, {"data.num_classes=1000"});
  const auto model = config->build_model(nn::Init::zeros());
  const auto parameters = static_cast<double>(nn::count_elements(model->generator().parameters()));
  EXPECT_NEAR(parameters / GetParam().parameters, 1, 0.002) << parameters;
  const double products = model->generator_cost().flops / 2;
  EXPECT_NEAR(products / GetParam().products, 1, 0.01) << products;
}

INSTANTIATE_TEST_SUITE_P(Presets, PaperSizes,
                         testing::Values(PaperSize{"gat/imagenet256-xl-2.yaml", 602e6, 119e9},
                                         PaperSize{"cat/imagenet256-m-2.yaml", 261e6, 46e9},
                                         PaperSize{"cat/imagenet256-h-2.yaml", 960e6, 167e9}));

}  // namespace
}  // namespace gigacat::info
