#include "train/snapshot.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "gigacat/io/sample_grid.h"
#include "train/fixtures.h"

namespace gigacat::train {
namespace {

TEST(Picture, TilesImagesIntoASquare) {
  const io::Image rgb = picture(at::zeros({5, 3, 4, 4}));
  EXPECT_EQ(rgb.width, 3 * 96 + 2 * 2) << "small images are enlarged";
  EXPECT_EQ(rgb.height, 2 * 96 + 2);
  EXPECT_EQ(picture(at::zeros({1, 1, 4, 6})).width, 6 * 24);
  EXPECT_EQ(picture(at::full({1, 4, 2, 2}, 3.0)).pixels[0], 255);  // latents: three deviations are white
}

TEST(MeanDistance, IsThatOfPairsWithOneLabel) {
  const at::Tensor images = at::tensor({0.0f, 3.0f, 100.0f, 101.0f}).view({4, 1, 1, 1}).expand({4, 1, 2, 2});
  EXPECT_NEAR(mean_distance(images, {0, 0, 1, 1}), (3 + 1) / 2.0, 1e-4);
  EXPECT_EQ(mean_distance(images, {0, 1, 2, 3}), 0);
  EXPECT_EQ(mean_distance(images.narrow(0, 0, 1).expand({4, 1, 2, 2}), {0, 0, 0, 0}), 0);
}

class SnapshotTest : public ToyTest {};

TEST_F(SnapshotTest, IsTheSameEachTimeAndShowsACollapse) {
  const auto built = config();
  built->recipe->build({.channels = 3, .height = 8, .width = 8, .num_classes = 2}, 1);
  torch::nn::Module& generator = built->recipe->generator();
  const pretrained::LatentSpace pixels = built->open_space(at::kCPU);
  const Snapshot snapshot(*built->recipe, pixels, 2, 20, 1, at::kCPU);
  EXPECT_EQ(snapshot.grid(generator).pixels, snapshot.grid(generator).pixels);
  const auto first = snapshot.first_images(generator, 3);
  ASSERT_EQ(first.size(), 3u);
  EXPECT_EQ(io::sample_grid({first[0]}, 1).pixels, io::crop(snapshot.grid(generator), 0, 0, 8 * 12, 8 * 12).pixels)
      << "they are those of the grid";
  EXPECT_EQ(snapshot.first_images(generator, 99).size(), 20u);
  EXPECT_GT(snapshot.diversity(generator), 0.01);
  EXPECT_TRUE(generator.is_training());
  at::NoGradGuard no_grad;
  generator.named_parameters()["in.weight"].zero_();  // only the bias is left: the latent has no effect
  EXPECT_NEAR(snapshot.diversity(generator), 0, 1e-6);
}

}  // namespace
}  // namespace gigacat::train
